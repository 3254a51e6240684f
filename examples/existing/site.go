package main

import (
	"crypto/rand"
	"crypto/subtle"
	"html/template"
	"net/http"
	"sync"
	"time"
)

const (
	sessionCookie = "site_session"
	sessionTTL    = 24 * time.Hour
)

// user is a row of the site's user table.
type user struct {
	ID, Name  string
	Suspended bool
	password  string // made at start and printed; a real site keeps hashes
}

type login struct {
	user    string
	expires time.Time
}

// site has users and sessions, and knows nothing of a chat.
type site struct {
	users map[string]user
	now   func() time.Time

	mu       sync.Mutex
	sessions map[string]login // by the random id in the cookie
}

func newSite(now func() time.Time) *site {
	s := &site{users: map[string]user{}, now: now, sessions: map[string]login{}}
	for _, u := range []user{{ID: "ines", Name: "Ines Duarte"}, {ID: "joon", Name: "박준"}, {ID: "olga", Name: "Olga Berg", Suspended: true}} {
		u.password = rand.Text()
		s.users[u.ID] = u
	}
	return s
}

// current is who a request is, by its cookie, and until when.
func (s *site) current(r *http.Request) (user, time.Time, bool) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return user{}, time.Time{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.sessions[c.Value]
	if !ok || s.now().After(l.expires) {
		delete(s.sessions, c.Value)
		return user{}, time.Time{}, false
	}
	return s.users[l.user], l.expires, true
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	u, known := s.users[r.PostFormValue("user")]
	good := subtle.ConstantTimeCompare([]byte(u.password), []byte(r.PostFormValue("password"))) == 1
	if !known || !good {
		http.Error(w, "wrong name or password", http.StatusUnauthorized)
		return
	}
	id, expires := rand.Text(), s.now().Add(sessionTTL)
	s.mu.Lock()
	s.sessions[id] = login{u.ID, expires}
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: id, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		delete(s.sessions, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

var homePage = template.Must(template.New("home").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The site</title><link rel="icon" href="data:,">
{{if .}}<p>Hello, {{.Name}}.</p><form method="post" action="/logout"><button>Sign out</button></form>
<ul id="messages" aria-label="Messages" aria-live="polite"></ul>
<form id="write"><label>To <input name="to" required></label> <label>Message <input name="text" required></label> <button>Send</button></form>
<script src="/im/sdk/h5-im-sdk.js"></script><script src="/home.js"></script>
{{else}}<form method="post" action="/login"><label>User <input name="user" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label> <button>Sign in</button></form>{{end}}`))

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	var who *user
	if u, _, ok := s.current(r); ok {
		who = &u
	}
	w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:")
	_ = homePage.Execute(w, who)
}

// homeScript needs no token: the cookie says who it is.
const homeScript = `const imClient = new IMClient({ appId: 'site' });
imClient.init();

function show(who, text) {
  const line = document.createElement('li');
  line.textContent = who + ': ' + text;
  document.querySelector('#messages').append(line);
}

imClient.onMessage((m) => show(m.from, m.content.text));

document.querySelector('#write').addEventListener('submit', (e) => {
  e.preventDefault();
  const { to, text } = e.target.elements;
  imClient.sendMessage({ to: to.value, content: text.value }).then(
    (m) => show('you to ' + to.value, m.content.text),
    (error) => show('not sent', error.message),
  );
  text.value = '';
});
`

func (s *site) script(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write([]byte(homeScript))
}
