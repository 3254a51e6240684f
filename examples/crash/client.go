package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// client speaks the protocol over a socket: requests out, answers and events in.
type client struct {
	*socket
	token string
}

// incoming is an answer or an event.
type incoming struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Reason string `json:"reason"`
		} `json:"data"`
	} `json:"error"`
}

// login asks the demo for a token.
func login(addr, user string) (string, error) {
	body, err := json.Marshal(map[string]string{"user": user})
	if err != nil {
		return "", err
	}
	web := &http.Client{Timeout: 2 * time.Second}
	resp, err := web.Post("http://"+addr+"/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("login: %s: %w", resp.Status, err)
	}
	return answer.Token, nil
}

// connect opens a session.
func connect(addr, user, token string) (*client, error) {
	s, err := dial(addr, "/im/ws?app=demo", "im.v1.json")
	if err != nil {
		return nil, err
	}
	c := &client{socket: s, token: token}
	err = c.request(1, "session.open", map[string]any{"appId": "demo", "token": token, "device": "crash-" + user})
	if err == nil {
		_, err = c.answer(1)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) request(id int64, method string, params any) error {
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	return c.write(opText, b)
}

// next returns the messages of the next frame.
func (c *client) next() ([]incoming, error) {
	frame, err := c.read()
	if err != nil {
		return nil, err
	}
	if len(frame) > 0 && frame[0] == '[' {
		var list []incoming
		return list, json.Unmarshal(frame, &list)
	}
	var one incoming
	err = json.Unmarshal(frame, &one)
	return []incoming{one}, err
}

// answer waits for the answer to a request and passes over events.
func (c *client) answer(id int64) (json.RawMessage, error) {
	for {
		list, err := c.next()
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if m.ID != id || m.Method != "" {
				continue
			}
			if m.Error != nil {
				return nil, fmt.Errorf("%s: %s", m.Error.Data.Reason, m.Error.Message)
			}
			return m.Result, nil
		}
	}
}

func (c *client) call(id int64, method string, params, result any) error {
	if err := c.request(id, method, params); err != nil {
		return err
	}
	b, err := c.answer(id)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, result)
}
