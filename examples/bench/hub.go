package main

import "encoding/json"

// What the hubs of one's own have in common: a message comes as JSON, is
// checked, gets an answer and goes on as JSON, encoded once for everybody.

type incoming struct {
	To   string `json:"to"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

type outgoing struct {
	From string `json:"from"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

type acknowledgement struct {
	Ack string `json:"ack"`
}

// handle returns the answer to a message, and what everybody gets: nothing of
// one that is to nobody.
func handle(from string, payload []byte) (in incoming, ack, event []byte, err error) {
	if err = json.Unmarshal(payload, &in); err != nil {
		return in, nil, nil, err
	}
	if ack, err = json.Marshal(acknowledgement{in.ID}); err != nil {
		return in, nil, nil, err
	}
	if in.To != "" {
		event, err = json.Marshal(outgoing{from, in.ID, in.Text})
	}
	return in, ack, event, err
}
