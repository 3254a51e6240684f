package im

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/h5im/im/hub"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
	"example.com/h5im/transport"
	"example.com/h5im/transport/poll"
	"example.com/h5im/transport/sse"
	"example.com/h5im/transport/websocket"
)

// Config configures a server. AppID and Auth are required; for the rest zero
// means the default.
type Config struct {
	// AppID must equal the appId that clients send. 1 to 64 bytes of [A-Za-z0-9_.-].
	AppID string
	// Auth says who a request is.
	Auth Authenticator

	// Store keeps everything. Defaults to bbolt in the file im.db under DataDir.
	// A Store given here is the host's to close, after Shutdown.
	Store store.Store
	// DataDir is where the default store lives; it is made if missing.
	// Defaults to "im-data".
	DataDir string
	// Hub joins the nodes of a cluster. Defaults to this process alone.
	// A Hub given here is started and closed by the server.
	Hub hub.Hub
	// Transports are served besides POST /rpc. Defaults to WebSocket, and
	// server-sent events and long polling for networks that let none through.
	Transports []transport.Transport

	// Policy, Directory, Middleware and Extensions are optional.
	Policy     Policy
	Directory  Directory
	Middleware []Middleware
	Extensions []Extension

	// SessionPolicy says how many devices of a user may be on. nil: any, within
	// Limits.SessionsPerUser.
	SessionPolicy SessionPolicy
	// Revalidate is how often the Authenticator is asked again about an open
	// session, give or take a tenth, with the credentials that it came with. One
	// that it refuses is treated as expired; any other error leaves it. 0: never.
	Revalidate time.Duration
	// Retention says how long the messages of a conversation are kept, by what the
	// host knows of it: its Kind, its ID, its Ext. 0: for ever. Older ones go for
	// good, within two hours and a few at a time: out of the history, the unread
	// counts, the store and its feed, so that a Tail that far behind never sees
	// them. No event tells of it. A clock that was set puts it off, and so does one
	// by which the server was off for days: for a day. nil: everything is kept.
	Retention func(*Conversation) time.Duration
	// DrainWindow is over how long Shutdown spreads its goaways, so that the
	// other nodes of a cluster get the clients one by one. Until then it serves
	// those who are here. 0: all at once, right for a server that is alone.
	DrainWindow time.Duration
	// ClientAddress tells where a request comes from, for
	// Limits.SessionsPerAddress and session.list: behind a proxy, what a header
	// of the proxy's says. "": not to be counted. Defaults to the connection's
	// own address where that is public.
	ClientAddress func(*http.Request) string

	// PublicOrigin is the origin under which browsers see the server
	// ("https://chat.example.com"), for a proxy in front that passes neither Host
	// nor X-Forwarded-Proto.
	PublicOrigin string
	// AllowedOrigins are other origins whose pages may use the server, with a
	// token of their own and never with a cookie.
	AllowedOrigins []string

	// HostUser is the user id that System acts as. Nobody else may be it.
	// Defaults to "system".
	HostUser string
	// Limits bound what clients may ask for.
	Limits Limits
	// Logger gets what a client must not see. Defaults to slog.Default().
	Logger *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Limits bound what clients may ask for. Zero fields mean the defaults, which
// are safe on the open internet.
type Limits struct {
	FrameBytes      int // of a frame from a client; defaults to 256 KiB
	ContentBytes    int // content and ext of a message together; defaults to 64 KiB
	Batch           int // requests in one frame; defaults to 64
	InFlight        int // requests of a session that run at once; defaults to 64
	Page            int // rows of a page that names no limit; defaults to 50
	MaxPage         int // rows of a page at most; defaults to 100
	Changes         int // revs a client may be behind before changes answers reset; defaults to 5,000
	TitleBytes      int // defaults to 256
	MembersPerCall  int // defaults to 500
	Members         int // of a group; defaults to 5,000
	Mentions        int // of a message; defaults to 50
	SessionsPerUser int // on one node; defaults to 20
	// SessionsPerAddress bounds the connections of an address on one node; see
	// Config.ClientAddress. Defaults to 1,000.
	SessionsPerAddress int
	// Opening is how many session.open are served at once; others wait, and those
	// who would wait for more than 5 s are told when to come again. Defaults to 128.
	Opening int
	// SessionRates and UserRates are what a session, and all sessions and POSTs
	// of a user together, may call on one node. What comes too soon is
	// rate_limited and nothing is lost: the SDK waits. Repetitions of what has
	// been stored are not counted. Default to 50 reads a second (200 at once), 25
	// writes (100) and 20 heavy calls (100), and to twice as much for a user.
	SessionRates Rates
	UserRates    Rates
	// NewDirectPeersPerHour bounds the direct conversations that a user opens
	// with people he never wrote to. Defaults to 60.
	NewDirectPeersPerHour int

	SendQueueBytes  int           // of events that a slow client has not read; defaults to 256 KiB
	SendQueueFrames int           // likewise; defaults to 1,024
	OpenTimeout     time.Duration // for session.open to succeed; defaults to 15 s
	AuthTimeout     time.Duration // for the Authenticator; defaults to 10 s
	WriteTimeout    time.Duration // for a client to take anything; defaults to 10 s
	PingInterval    time.Duration // of signs of life below the protocol; defaults to 25 s
	ReauthGrace     time.Duration // after the credentials expired; defaults to 25 s
}

func (l *Limits) setDefaults() {
	ints := []struct {
		field *int
		value int
	}{
		{&l.FrameBytes, 256 << 10}, {&l.ContentBytes, 64 << 10}, {&l.Batch, 64}, {&l.InFlight, 64},
		{&l.Page, 50}, {&l.MaxPage, 100}, {&l.Changes, 5000}, {&l.TitleBytes, 256},
		{&l.MembersPerCall, 500}, {&l.Members, 5000}, {&l.Mentions, 50}, {&l.SessionsPerUser, 20},
		{&l.SessionsPerAddress, 1000}, {&l.Opening, 128},
		{&l.NewDirectPeersPerHour, 60}, {&l.SendQueueBytes, 256 << 10}, {&l.SendQueueFrames, 1024},
	}
	for _, d := range ints {
		*d.field = cmp.Or(*d.field, d.value)
	}
	durations := []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.OpenTimeout, 15 * time.Second}, {&l.AuthTimeout, 10 * time.Second}, {&l.WriteTimeout, 10 * time.Second},
		{&l.PingInterval, 25 * time.Second}, {&l.ReauthGrace, 25 * time.Second},
	}
	for _, d := range durations {
		*d.field = cmp.Or(*d.field, d.value)
	}
	l.SessionRates.setDefaults(Rates{Read: Rate{50, 200}, Write: Rate{25, 100}, Heavy: Rate{20, 100}})
	l.UserRates.setDefaults(Rates{Read: Rate{100, 400}, Write: Rate{50, 200}, Heavy: Rate{40, 200}})
}

func (l *Limits) validate() error {
	for name, v := range map[string]int{
		"FrameBytes": l.FrameBytes, "ContentBytes": l.ContentBytes, "Batch": l.Batch, "InFlight": l.InFlight,
		"Page": l.Page, "MaxPage": l.MaxPage, "Changes": l.Changes, "TitleBytes": l.TitleBytes,
		"MembersPerCall": l.MembersPerCall, "Members": l.Members, "Mentions": l.Mentions,
		"SessionsPerUser": l.SessionsPerUser, "SessionsPerAddress": l.SessionsPerAddress, "Opening": l.Opening, "NewDirectPeersPerHour": l.NewDirectPeersPerHour,
		"SendQueueBytes": l.SendQueueBytes, "SendQueueFrames": l.SendQueueFrames,
		"OpenTimeout": int(l.OpenTimeout), "AuthTimeout": int(l.AuthTimeout), "WriteTimeout": int(l.WriteTimeout),
		"PingInterval": int(l.PingInterval), "ReauthGrace": int(l.ReauthGrace),
	} {
		if v < 0 {
			return fmt.Errorf("im: Config.Limits.%s is negative", name)
		}
	}
	for name, r := range map[string]*Rates{"SessionRates": &l.SessionRates, "UserRates": &l.UserRates} {
		if !r.valid() {
			return fmt.Errorf("im: Config.Limits.%s: PerSecond and Burst must be positive", name)
		}
	}
	if l.Page > l.MaxPage {
		return fmt.Errorf("im: Config.Limits.Page is above MaxPage")
	}
	return nil
}

// complete validates c and fills in the defaults that cost nothing.
func (c *Config) complete() error {
	if !validName(c.AppID, 64) {
		return errors.New("im: Config.AppID must be 1 to 64 of [A-Za-z0-9_.-]")
	}
	if c.Auth == nil {
		return errors.New("im: Config.Auth is required: it says who a request is")
	}
	c.DataDir = cmp.Or(c.DataDir, "im-data")
	c.HostUser = cmp.Or(c.HostUser, "system")
	if !validUser(c.HostUser) {
		return errors.New("im: Config.HostUser is no valid user id")
	}
	if c.Revalidate < 0 || c.DrainWindow < 0 {
		return errors.New("im: Config.Revalidate or DrainWindow is negative")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Limits.setDefaults()
	return c.Limits.validate()
}

// defaultStore opens the bbolt store under DataDir.
func (c *Config) defaultStore() (store.Store, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("im: data directory: %w", err)
	}
	s, err := bolt.Open(filepath.Join(c.DataDir, "im.db"), nil)
	if err != nil {
		return nil, fmt.Errorf("im: %w", err)
	}
	return s, nil
}

func defaultTransports() []transport.Transport {
	return []transport.Transport{websocket.New(nil), sse.New(nil), poll.New(nil)}
}
