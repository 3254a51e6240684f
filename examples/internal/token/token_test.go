package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
)

func TestSigner(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	s := &token.Signer{Key: token.NewKey(), TTL: time.Hour, Now: clock}
	signed, expires, err := s.Sign("alice")
	if err != nil {
		t.Fatal(err)
	}
	if !expires.Equal(now.Add(time.Hour)) {
		t.Fatalf("expires %v", expires)
	}
	payload, mac, _ := strings.Cut(signed, ".")
	issued := now

	for _, c := range []struct {
		rule  string
		token string
		after time.Duration
		want  error
	}{
		{"a fresh token is good", signed, 0, nil},
		{"a clock that is behind by less than the leeway is forgiven", signed, -59 * time.Second, nil},
		{"a token from the future tells of the clock", signed, -61 * time.Second, im.ErrClockSkew},
		{"the leeway lets a token live a minute longer", signed, time.Hour + 59*time.Second, nil},
		{"then it has expired", signed, time.Hour + 62*time.Second, im.ErrTokenExpired},
		{"another payload under the same signature is refused", payload + "x." + mac, 0, im.ErrUnauthenticated},
		{"another signature is refused", payload + "." + strings.ToUpper(mac), 0, im.ErrUnauthenticated},
		{"half a token is refused", payload, 0, im.ErrUnauthenticated},
		{"no token is refused", "", 0, im.ErrUnauthenticated},
		{"a signature that is no base64 is refused", payload + ".!", 0, im.ErrUnauthenticated},
		{"a huge token is refused", strings.Repeat("a", 1<<20) + "." + mac, 0, im.ErrUnauthenticated},
	} {
		t.Run(c.rule, func(t *testing.T) {
			now = issued.Add(c.after)
			user, until, err := s.Check(c.token)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if c.want == nil && (user != "alice" || !until.Equal(expires)) {
				t.Fatalf("user %q until %v", user, until)
			}
		})
	}

	t.Run("a key of another server is refused", func(t *testing.T) {
		now = issued
		other := &token.Signer{Key: token.NewKey(), TTL: time.Hour, Now: clock}
		if _, _, err := other.Check(signed); !errors.Is(err, im.ErrUnauthenticated) {
			t.Fatal(err)
		}
	})
	t.Run("no key signs and accepts nothing", func(t *testing.T) {
		none := &token.Signer{TTL: time.Hour}
		if _, _, err := none.Sign("alice"); err == nil {
			t.Fatal("signed without a key")
		}
		if _, _, err := none.Check(signed); !errors.Is(err, im.ErrUnauthenticated) {
			t.Fatal(err)
		}
	})
}
