package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/h5im/im"
)

// person is somebody of the sample data.
type person struct{ ID, Name string }

var people = []person{
	{"alice", "Alice Moreau"},
	{"bob", "Bob Tanaka"},
	{"carol", "Carol Nguyen"},
	{"dmitri", "Dmitri Volkov"},
	{"li-wei", "李伟"},
	{"xiaoyu", "陈小雨"},
	{"zhang-min", "张敏"},
}

// directory knows everybody whose name is valid.
type directory struct{}

// Profiles names the users. It is asked for strangers too, such as those whom
// somebody wants to write to.
func (directory) Profiles(_ context.Context, ids []string) (map[string]im.Profile, error) {
	found := make(map[string]im.Profile, len(ids))
	for _, id := range ids {
		if validName.MatchString(id) {
			found[id] = im.Profile{Name: displayName(id), Avatar: "/avatar/" + id + ".svg"}
		}
	}
	return found, nil
}

// displayName is how a user is shown: "anna-lee" is Anna Lee.
func displayName(id string) string {
	for _, p := range people {
		if p.ID == id {
			return p.Name
		}
	}
	words := strings.FieldsFunc(id, func(r rune) bool { return r == '-' || r == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if len(words) == 0 {
		return id
	}
	return strings.Join(words, " ")
}

// servePeople lists the sample users, for whom somebody may begin to write to.
func servePeople(w http.ResponseWriter, _ *http.Request) {
	type profile struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Avatar string `json:"avatar"`
	}
	list := make([]profile, len(people))
	for i, p := range people {
		list[i] = profile{p.ID, p.Name, "/avatar/" + p.ID + ".svg"}
	}
	writeJSON(w, http.StatusOK, list)
}

// avatarTones are backgrounds on which white letters have a contrast of 4.5.
var avatarTones = []string{
	"#8b4f66", "#7a6428", "#8a5a44", "#2f7464", "#3f6b8a", "#6a5a94", "#4a6076", "#7d4f7f", "#2d6e8e", "#946033", "#4d6b3c",
}

// serveAvatar draws a user's initials on a colour of his own.
func serveAvatar(w http.ResponseWriter, r *http.Request) {
	id, isSVG := strings.CutSuffix(r.PathValue("file"), ".svg")
	if !isSVG || !validName.MatchString(id) {
		http.NotFound(w, r)
		return
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	letters := initials(displayName(id))
	size := 40
	if utf8.RuneCountInString(letters) == 1 {
		size = 46
	}
	head := w.Header()
	head.Set("Content-Type", "image/svg+xml")
	head.Set("Cache-Control", "public, max-age=86400")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'")
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" fill="%s"/>`+
		`<text x="50" y="52" fill="#fff" font-family="-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif" font-size="%d" font-weight="500" text-anchor="middle" dominant-baseline="central">%s</text></svg>`,
		avatarTones[h.Sum32()%uint32(len(avatarTones))], size, html.EscapeString(letters))
}

// initials are the first letters of the first and last word; of a Chinese name
// the last character.
func initials(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	if unicode.Is(unicode.Han, first) {
		last, _ := utf8.DecodeLastRuneInString(words[0])
		return string(last)
	}
	if len(words) == 1 {
		return strings.ToUpper(string(first))
	}
	second, _ := utf8.DecodeRuneInString(words[len(words)-1])
	return strings.ToUpper(string(first) + string(second))
}
