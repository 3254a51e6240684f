package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Origin says how the page that made a request relates to this server.
type Origin uint8

const (
	// Foreign is every request that is none of the others: another site, an
	// opaque origin ("null"), or one that cannot be read.
	Foreign Origin = iota
	// Absent is a request without a sign of a browser.
	Absent
	// Allowed is a page whose origin is listed.
	Allowed
	// Same is proved to be a page of this very origin.
	Same
)

func (o Origin) String() string {
	switch o {
	case Absent:
		return "absent"
	case Allowed:
		return "allowed"
	case Same:
		return "same"
	default:
		return "foreign"
	}
}

// Origins tells requests of our own pages from those of other sites. The zero
// value allows no other site. It is safe for concurrent use.
type Origins struct {
	public  *webOrigin
	allowed map[webOrigin]bool
}

// NewOrigins returns the check for a server.
//
// public is the server's own origin as browsers see it, for a server behind a
// proxy: "https://chat.example.com". Empty: taken from each request, that is
// from its Host, its TLS and X-Forwarded-Proto.
//
// allowed are origins of other sites. Each is exactly scheme://host or
// scheme://host:port: no path, no wildcard.
func NewOrigins(public string, allowed []string) (*Origins, error) {
	o := &Origins{allowed: make(map[webOrigin]bool, len(allowed))}
	if public != "" {
		own, err := parseOrigin(public)
		if err != nil {
			return nil, fmt.Errorf("transport: public origin %w", err)
		}
		o.public = &own
	}
	for _, entry := range allowed {
		if strings.Contains(entry, "*") {
			return nil, fmt.Errorf("transport: allowed origin %q: wildcards would let any page of those "+
				"sites act for a signed-in user; list each origin as scheme://host[:port]", entry)
		}
		site, err := parseOrigin(entry)
		if err != nil {
			return nil, fmt.Errorf("transport: allowed origin %w", err)
		}
		o.allowed[site] = true
	}
	return o, nil
}

// Check classifies a request by its Origin and Sec-Fetch-Site headers, which
// browsers set and pages cannot.
func (o *Origins) Check(r *http.Request) Origin {
	headers := r.Header.Values("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	if len(headers) == 0 {
		switch site {
		case "same-origin":
			return Same
		case "":
			return Absent
		default:
			return Foreign
		}
	}
	if len(headers) > 1 {
		return Foreign
	}
	page, err := parseOrigin(headers[0])
	if err != nil {
		return Foreign
	}
	if o.own(r, page, site == "same-origin") {
		return Same
	}
	if o.allowed[page] {
		return Allowed
	}
	return Foreign
}

// own reports whether page is the origin that r was sent to. claimed is the
// browser's own word for it: it settles the scheme where a proxy took TLS off
// without telling, but never host or port.
func (o *Origins) own(r *http.Request, page webOrigin, claimed bool) bool {
	if o.public != nil {
		return page == *o.public
	}
	scheme := "http"
	if forwarded, told := r.Header["X-Forwarded-Proto"]; r.TLS != nil ||
		told && strings.Contains(strings.ToLower(strings.Join(forwarded, ",")), "https") {
		scheme = "https"
	} else if claimed && !told && page.scheme == "https" {
		scheme = "https"
	}
	self, err := parseOrigin(scheme + "://" + r.Host)
	return err == nil && page == self
}

// webOrigin is an origin in its only form, so that == compares origins.
// https://www.rfc-editor.org/rfc/rfc6454#section-4
type webOrigin struct{ scheme, host, port string }

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// parseOrigin reads scheme://host[:port] and nothing else. Its errors begin
// with the quoted text.
func parseOrigin(text string) (webOrigin, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return webOrigin{}, fmt.Errorf("%q cannot be read", text)
	case u.Scheme == "" || u.Hostname() == "":
		return webOrigin{}, fmt.Errorf("%q is not scheme://host[:port]", text)
	case u.User != nil || u.Scheme+"://"+u.Host != strings.ToLower(u.Scheme)+text[len(u.Scheme):]:
		return webOrigin{}, fmt.Errorf("%q has more than scheme://host[:port]", text)
	}
	site := webOrigin{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port()}
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(site.host)
		if err != nil || ip.Zone() != "" {
			return webOrigin{}, fmt.Errorf("%q has a malformed IPv6 address", text)
		}
		site.host = ip.String()
	} else if strings.ContainsAny(site.host, "* \t\"'\\,;<>%") {
		return webOrigin{}, fmt.Errorf("%q has a malformed host", text)
	}
	if site.port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return webOrigin{}, fmt.Errorf("%q has an empty port", text)
		}
		site.port = defaultPorts[site.scheme]
	} else if n, err := strconv.ParseUint(site.port, 10, 16); err != nil || n == 0 {
		return webOrigin{}, fmt.Errorf("%q has a malformed port", text)
	} else {
		site.port = strconv.FormatUint(n, 10)
	}
	return site, nil
}
