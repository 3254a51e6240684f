package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// call asks the server for something that is none of its operations.
func (p *process) call(ctx context.Context, what string, values url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/"+what+"?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s: %s", what, resp.Status, text)
	}
	return nil
}

// postOnce calls one operation without a session.
func (p *process) postOnce(ctx context.Context, user, method string, params, result any) error {
	b, err := json.Marshal(request{"2.0", 1, method, params})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/im/rpc", bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+user)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", method, resp.Status)
	}
	var in incoming
	if err := json.NewDecoder(resp.Body).Decode(&in); err != nil {
		return err
	}
	if in.Error != nil {
		return in.Error
	}
	return json.Unmarshal(in.Result, result)
}
