package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// silence is how long a link may say nothing; a client pings more often.
const silence = 3 * time.Second

// link is a session over one of the transports.
type link interface {
	// send hands over requests, in order, and does not wait.
	send(requests ...request) error
	// next returns what came; it fails when the session has ended.
	next() ([]incoming, error)
	close()
}

type request struct {
	JSONRPC string `json:"jsonrpc"`
	ID      int64  `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// incoming is an answer or an event.
type incoming struct {
	ID     *int64          `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *wireError      `json:"error"`
}

type wireError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

func (e *wireError) Error() string { return fmt.Sprintf("%s (%s)", e.Data.Reason, e.Message) }

// final tells whether repeating cannot help.
func (e *wireError) final() bool {
	return e.Code >= 400 && e.Code < 500 && e.Code != 401 && e.Code != 429
}

func parse(frame []byte) (list []incoming, err error) {
	if len(frame) > 0 && frame[0] == '[' {
		return list, json.Unmarshal(frame, &list)
	}
	list = make([]incoming, 1)
	return list, json.Unmarshal(frame, &list[0])
}

// connect opens a session of a user on a device.
func connect(addr, transport, user, device string) (link, error) {
	open := request{"2.0", 0, "session.open", map[string]any{"appId": "lab", "token": user, "device": device}}
	var l link
	var err error
	if transport == "ws" {
		l, err = openSocket(addr, open)
	} else {
		l, err = openPosts(addr, transport, user, open)
	}
	return l, err
}

// opened reads the answer to session.open.
func opened(list []incoming, err error) (session string, _ error) {
	var result struct {
		Session string `json:"session"`
	}
	switch {
	case err != nil:
		return "", err
	case len(list) != 1:
		return "", fmt.Errorf("%d answers to session.open", len(list))
	case list[0].Error != nil:
		return "", list[0].Error
	}
	err = json.Unmarshal(list[0].Result, &result)
	return result.Session, err
}

// impatient is a connection whose reads end when nothing comes.
type impatient struct{ net.Conn }

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c impatient) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (s *socket) send(requests ...request) error {
	b, err := json.Marshal(requests)
	if err != nil {
		return err
	}
	return s.write(opText, b)
}

func (s *socket) next() ([]incoming, error) {
	b, err := s.read()
	if err != nil {
		return nil, err
	}
	return parse(b)
}

func openSocket(addr string, open request) (link, error) {
	s, err := dial(addr, "/im/ws?app=lab", "im.v1.json")
	if err != nil {
		return nil, err
	}
	if err = s.send(open); err == nil {
		_, err = opened(s.next())
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// posts is a session without a socket: its events come over a stream or by
// polling, its requests are POSTs, one at a time so that they keep their order.
type posts struct {
	addr, user, session string
	web                 *http.Client
	ctx                 context.Context
	stop                context.CancelFunc
	in                  chan []incoming
	work                sync.WaitGroup

	mu    sync.Mutex
	wake  sync.Cond
	queue []request
	err   error
}

func openPosts(addr, transport, user string, open request) (link, error) {
	dialer := net.Dialer{Timeout: silence}
	p := &posts{addr: addr, user: user, in: make(chan []incoming, 64)}
	p.wake.L = &p.mu
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.web = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return impatient{c}, nil
		},
	}}
	path := map[string]string{"sse": "/events", "poll": "/poll"}[transport]
	resp, err := p.do(http.MethodPost, path, open)
	if err != nil {
		p.close()
		return nil, err
	}
	lines := bufio.NewReader(resp.Body)
	if transport == "sse" {
		p.session, err = opened(p.event(lines))
	} else {
		var b []byte
		if b, err = io.ReadAll(lines); err == nil {
			p.session, err = opened(parse(b))
		}
		resp.Body.Close()
	}
	if err != nil {
		resp.Body.Close()
		p.close()
		return nil, err
	}
	p.work.Go(p.write)
	p.work.Go(func() {
		defer resp.Body.Close()
		if transport == "sse" {
			p.stream(lines)
		} else {
			p.poll()
		}
	})
	return p, nil
}

func (p *posts) do(method, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(p.ctx, method, "http://"+p.addr+"/im"+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.user)
	if p.session != "" {
		r.Header.Set("Im-Session", p.session)
	}
	resp, err := p.web.Do(r)
	if err == nil && resp.StatusCode >= 300 {
		resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, err
}

// event reads the next event of a stream and passes over comments.
func (p *posts) event(lines *bufio.Reader) ([]incoming, error) {
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if data, found := strings.CutPrefix(line, "data: "); found {
			return parse([]byte(data))
		}
	}
}

func (p *posts) stream(lines *bufio.Reader) {
	for {
		list, err := p.event(lines)
		if !p.take(list, err) {
			return
		}
	}
}

func (p *posts) poll() {
	for ack := int64(0); ; {
		resp, err := p.do(http.MethodGet, fmt.Sprintf("/poll?ack=%d", ack), nil)
		if err != nil {
			p.take(nil, err)
			return
		}
		var frame struct {
			Frame    int64      `json:"frame"`
			Messages []incoming `json:"messages"`
		}
		if resp.StatusCode != http.StatusNoContent {
			err = json.NewDecoder(resp.Body).Decode(&frame)
			ack = frame.Frame
		}
		resp.Body.Close()
		if !p.take(frame.Messages, err) {
			return
		}
	}
}

// write posts what is queued, one frame at a time.
func (p *posts) write() {
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && p.err == nil {
			p.wake.Wait()
		}
		n := min(len(p.queue), 64)
		requests := p.queue[:n:n]
		p.queue = p.queue[n:]
		ended := p.err != nil
		p.mu.Unlock()
		if ended {
			return
		}
		resp, err := p.do(http.MethodPost, "/rpc", requests)
		var list []incoming
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(resp.Body); err == nil {
				list, err = parse(b)
			}
			resp.Body.Close()
		}
		if !p.take(list, err) {
			return
		}
	}
}

// take hands on what came, and reports whether the session goes on.
func (p *posts) take(list []incoming, err error) bool {
	if err == nil && len(list) > 0 {
		select {
		case p.in <- list:
		case <-p.ctx.Done():
		}
		if list[len(list)-1].Method == "close" {
			err = io.EOF
		}
	}
	if err != nil {
		p.fail(err)
		return false
	}
	return p.ctx.Err() == nil
}

func (p *posts) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.wake.Broadcast()
	p.stop()
}

func (p *posts) send(requests ...request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, requests...)
	p.wake.Signal()
	return p.err
}

func (p *posts) next() ([]incoming, error) {
	select {
	case list := <-p.in:
		return list, nil
	case <-p.ctx.Done():
		select {
		case list := <-p.in: // what came before the end
			return list, nil
		default:
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return nil, p.err
	}
}

func (p *posts) close() {
	p.fail(io.EOF)
	p.work.Wait()
	p.web.CloseIdleConnections()
}
