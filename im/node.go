package im

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// nodeRequest is what a node asks of another: exactly one of its fields.
type nodeRequest struct {
	Leg        *leg   `json:"leg,omitempty"`
	Kick       *kick  `json:"kick,omitempty"`
	SessionsOf string `json:"sessionsOf,omitempty"`
	Tail       string `json:"tail,omitempty"` // the consumer whose lease is free
}

// answerNode answers another node.
func (s *server) answerNode(ctx context.Context, body []byte) ([]byte, error) {
	var q nodeRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("im: request of another node: %w", err)
	}
	var answer any
	var err error
	switch {
	case q.Leg != nil:
		answer, err = s.takeLeg(ctx, q.Leg)
	case q.Kick != nil:
		answer = s.kickHere(q.Kick)
	case q.SessionsOf != "":
		answer = s.sessionsHere(q.SessionsOf)
	case q.Tail != "":
		s.tails.wake(q.Tail)
	default:
		err = errors.New("im: a request of a newer node")
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}
