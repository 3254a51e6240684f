package mounts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A front is what stands between a browser and the site.
type front struct {
	name string
	// public tells that the server has to be told its origin.
	public bool
	// upgrades tells that a WebSocket comes through.
	upgrades bool
	// proto is the major version that a browser speaks.
	proto int
	// serve returns where the site is.
	serve func(t *testing.T, site http.Handler, errors *log.Logger) *place
}

// place is a site as a browser sees it.
type place struct {
	url    string
	client *http.Client
	tls    *tls.Config
}

var fronts = []front{
	{name: "HTTP 1.1", proto: 1, upgrades: true, serve: func(t *testing.T, site http.Handler, errors *log.Logger) *place {
		web := listen(t, site, errors)
		web.Start()
		return &place{url: web.URL, client: web.Client()}
	}},
	{name: "HTTP 2 over TLS", proto: 2, upgrades: true, serve: func(t *testing.T, site http.Handler, errors *log.Logger) *place {
		web := listen(t, site, errors)
		web.EnableHTTP2 = true
		web.StartTLS()
		pool := x509.NewCertPool()
		pool.AddCert(web.Certificate())
		return &place{web.URL, web.Client(), &tls.Config{RootCAs: pool}}
	}},
	{name: "nginx with the location of the README", proto: 2, upgrades: true, serve: func(t *testing.T, site http.Handler, errors *log.Logger) *place {
		recipe, err := os.ReadFile("nginx.conf")
		if err != nil {
			t.Fatal(err)
		}
		return behindNginx(t, site, errors, string(recipe)+"location / { proxy_pass http://127.0.0.1:8080; }")
	}},
	{name: "nginx with proxy_pass alone", proto: 2, public: true, serve: func(t *testing.T, site http.Handler, errors *log.Logger) *place {
		return behindNginx(t, site, errors, "location / { proxy_pass http://127.0.0.1:8080; }")
	}},
}

func listen(t *testing.T, site http.Handler, errors *log.Logger) *httptest.Server {
	web := httptest.NewUnstartedServer(site)
	web.Config.ErrorLog = errors
	t.Cleanup(web.Close)
	return web
}

// nginxConf is Debian's nginx.conf in the directory of a test, with one site.
const nginxConf = `
daemon off;
worker_processes auto;
pid %[1]s/pid;
error_log stderr;
events { worker_connections 768; }
http {
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers on;
	access_log off;
	gzip on;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]s ssl http2;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
		%[3]s
	}
}
`

// behindNginx serves a site through an nginx of its own, over TLS and HTTP 2.
func behindNginx(t *testing.T, site http.Handler, errors *log.Logger, locations string) *place {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx = "/usr/sbin/nginx"; !exists(nginx) {
			t.Fatal("nginx is missing: apt-get update && apt-get install -y --no-install-recommends nginx")
		}
	}
	web := listen(t, site, errors)
	web.Start()
	dir, port := t.TempDir(), freePort(t)
	pool := makeCertificate(t, dir)
	upstream := strings.TrimPrefix(web.URL, "http://")
	conf := fmt.Sprintf(nginxConf, dir, port, strings.ReplaceAll(locations, "127.0.0.1:8080", upstream))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-e", "stderr", "-p", dir, "-c", file)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("nginx said:\n%s", said.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("nginx ended:\n%s", said.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not listen")
		}
	}
	config := &tls.Config{RootCAs: pool}
	transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &place{"https://127.0.0.1:" + port, &http.Client{Transport: transport}, config}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// makeCertificate writes cert.pem and key.pem for 127.0.0.1 into dir.
func makeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	check(os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	cert, err := x509.ParseCertificate(der)
	check(err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}
