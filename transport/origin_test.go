package transport_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"example.com/h5im/transport"
)

func TestOrigins(t *testing.T) {
	const site = "chat.example.com"
	allowed := []string{"https://partner.example.org", "http://localhost:5173", "capacitor://localhost", "https://[2001:db8::1]:8443"}
	for name, c := range map[string]struct {
		public  string
		host    string   // of the request; site where empty
		tls     bool     // of the request
		proto   string   // X-Forwarded-Proto
		fetch   string   // Sec-Fetch-Site
		origins []string // Origin headers
		want    transport.Origin
	}{
		"no browser":                            {want: transport.Absent},
		"the same origin":                       {origins: []string{"http://" + site}, want: transport.Same},
		"the same origin over TLS":              {tls: true, origins: []string{"https://" + site}, want: transport.Same},
		"the default port, written":             {tls: true, host: site + ":443", origins: []string{"https://" + site}, want: transport.Same},
		"the default port, written by the page": {origins: []string{"http://" + site + ":80"}, want: transport.Same},
		"another case":                          {tls: true, origins: []string{"HTTPS://Chat.Example.COM"}, want: transport.Same},
		"a port":                                {host: site + ":8080", origins: []string{"http://" + site + ":8080"}, want: transport.Same},
		"IPv6":                                  {host: "[::1]:8080", origins: []string{"http://[::1]:8080"}, want: transport.Same},
		"IPv6 written otherwise":                {host: "[::1]", origins: []string{"http://[0:0::0:1]"}, want: transport.Same},
		"same-origin of the browser alone":      {fetch: "same-origin", want: transport.Same},
		"same-origin behind an unspoken proxy":  {fetch: "same-origin", origins: []string{"https://" + site}, want: transport.Same},
		"TLS taken off by a proxy":              {proto: "https", origins: []string{"https://" + site}, want: transport.Same},
		"the public origin":                     {public: "https://" + site, host: "10.0.0.7:8080", origins: []string{"https://" + site}, want: transport.Same},

		"an allowed site":                   {tls: true, origins: []string{"https://partner.example.org"}, want: transport.Allowed},
		"an allowed site, case and port":    {origins: []string{"https://Partner.example.org:443"}, want: transport.Allowed},
		"an allowed site, told cross-site":  {fetch: "cross-site", origins: []string{"https://partner.example.org"}, want: transport.Allowed},
		"an allowed app":                    {origins: []string{"capacitor://localhost"}, want: transport.Allowed},
		"an allowed development server":     {origins: []string{"http://localhost:5173"}, want: transport.Allowed},
		"an allowed IPv6 address":           {origins: []string{"https://[2001:DB8:0::1]:8443"}, want: transport.Allowed},
		"an allowed host by http":           {origins: []string{"http://partner.example.org"}, want: transport.Foreign},
		"an allowed host at another port":   {origins: []string{"https://partner.example.org:444"}, want: transport.Foreign},
		"an allowed development port's kin": {origins: []string{"http://localhost:51730"}, want: transport.Foreign},

		"another site":                       {origins: []string{"https://evil.example"}, want: transport.Foreign},
		"a suffix trick":                     {origins: []string{"http://" + site + ".evil.example"}, want: transport.Foreign},
		"a prefix trick":                     {origins: []string{"http://evil-" + site}, want: transport.Foreign},
		"a subdomain":                        {origins: []string{"http://sub." + site}, want: transport.Foreign},
		"the parent domain":                  {origins: []string{"http://example.com"}, want: transport.Foreign},
		"null":                               {origins: []string{"null"}, want: transport.Foreign},
		"null, told same-origin":             {fetch: "same-origin", origins: []string{"null"}, want: transport.Foreign},
		"another port":                       {origins: []string{"http://" + site + ":8080"}, want: transport.Foreign},
		"http to https":                      {tls: true, origins: []string{"http://" + site}, want: transport.Foreign},
		"http to https of a proxy":           {proto: "https", origins: []string{"http://" + site}, want: transport.Foreign},
		"http to https of two proxies":       {proto: "https, http", origins: []string{"http://" + site}, want: transport.Foreign},
		"a forwarded http does not weaken":   {tls: true, proto: "http", origins: []string{"http://" + site}, want: transport.Foreign},
		"http to https, told same-origin":    {tls: true, fetch: "same-origin", origins: []string{"http://" + site}, want: transport.Foreign},
		"https to forwarded http":            {proto: "http", fetch: "same-origin", origins: []string{"https://" + site}, want: transport.Foreign},
		"https to http":                      {origins: []string{"https://" + site}, want: transport.Foreign},
		"another site, told same-origin":     {fetch: "same-origin", origins: []string{"http://evil.example"}, want: transport.Foreign},
		"userinfo":                           {origins: []string{"http://" + site + "@evil.example"}, want: transport.Foreign},
		"userinfo in front":                  {origins: []string{"http://me@" + site}, want: transport.Foreign},
		"a trailing dot":                     {origins: []string{"http://" + site + "."}, want: transport.Foreign},
		"a path":                             {origins: []string{"http://" + site + "/"}, want: transport.Foreign},
		"a query":                            {origins: []string{"http://" + site + "?"}, want: transport.Foreign},
		"a fragment":                         {origins: []string{"http://" + site + "#"}, want: transport.Foreign},
		"an empty port":                      {origins: []string{"http://" + site + ":"}, want: transport.Foreign},
		"a port above 65535":                 {origins: []string{"http://" + site + ":65616"}, want: transport.Foreign},
		"no scheme":                          {origins: []string{site}, want: transport.Foreign},
		"an empty Origin":                    {origins: []string{""}, want: transport.Foreign},
		"two Origins":                        {origins: []string{"http://" + site, "http://" + site}, want: transport.Foreign},
		"two Origins in one":                 {origins: []string{"http://" + site + " http://evil.example"}, want: transport.Foreign},
		"a zone":                             {host: "[fe80::1%25eth0]", origins: []string{"http://[fe80::1%25eth0]"}, want: transport.Foreign},
		"another IPv6 address":               {host: "[::1]", origins: []string{"http://[::2]"}, want: transport.Foreign},
		"a file":                             {origins: []string{"file://"}, want: transport.Foreign},
		"an extension":                       {origins: []string{"chrome-extension://abcdef"}, want: transport.Foreign},
		"control characters":                 {origins: []string{"http://" + site + "\x00"}, want: transport.Foreign},
		"cross-site without Origin":          {fetch: "cross-site", want: transport.Foreign},
		"same-site without Origin":           {fetch: "same-site", want: transport.Foreign},
		"none without Origin":                {fetch: "none", want: transport.Foreign},
		"the Host where a public one is set": {public: "https://" + site, host: "10.0.0.7", origins: []string{"http://10.0.0.7"}, want: transport.Foreign},
		"a rebound name":                     {public: "https://" + site, host: "evil.example", origins: []string{"https://evil.example"}, want: transport.Foreign},
		"http where the public one is https": {public: "https://" + site, origins: []string{"http://" + site}, want: transport.Foreign},
		"a malformed Host":                   {host: "[::1", origins: []string{"http://[::1"}, want: transport.Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			origins, err := transport.NewOrigins(c.public, allowed)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Method: http.MethodGet, Host: site, Header: http.Header{}}
			if c.host != "" {
				r.Host = c.host
			}
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
			if c.fetch != "" {
				r.Header.Set("Sec-Fetch-Site", c.fetch)
			}
			if c.origins != nil {
				r.Header["Origin"] = c.origins
			}
			if got := origins.Check(r); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}

	t.Run("the zero value allows no other site", func(t *testing.T) {
		var origins transport.Origins
		r := &http.Request{Host: site, Header: http.Header{"Origin": {"https://partner.example.org"}}}
		if got := origins.Check(r); got != transport.Foreign {
			t.Error(got)
		}
	})
}

func TestNewOrigins(t *testing.T) {
	for _, entry := range []string{
		"*", "https://*", "https://*.example.com", "example.com", "//example.com", "https://", "https://example.com/",
		"https://example.com/im", "https://example.com?x", "https://example.com#x", "https://me@example.com",
		"https://example.com:", "https://example.com:0", "https://example.com:99999", "https://example.com:x", "null", "",
		"https://[::1", "https://[::g]", "https://a b", "https://a,https://b", " https://example.com", "https://example.com%2f",
	} {
		t.Run("refuses "+entry, func(t *testing.T) {
			_, err := transport.NewOrigins("", []string{entry})
			if err == nil || !strings.Contains(err.Error(), "origin") {
				t.Errorf("allowed: %v", err)
			}
			if entry == "*" && !strings.Contains(err.Error(), "any page") {
				t.Errorf("does not explain itself: %v", err)
			}
			if entry != "" {
				if _, err := transport.NewOrigins(entry, nil); err == nil {
					t.Error("taken as the public origin")
				}
			}
		})
	}
}
