package im

import (
	"encoding/json"
)

// Message types of the core. An Extension adds more with Setup.MessageType.
const (
	TypeText   = "text"   // {"text": string}
	TypeCustom = "custom" // any object
	TypeSystem = "system" // any object; only System may send it
)

func builtinTypes() map[string]func(content []byte) error {
	return map[string]func([]byte) error{
		TypeText:   validateText,
		TypeCustom: nil,
		TypeSystem: nil,
	}
}

func validateText(content []byte) error {
	var c struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(content, &c); err != nil || c.Text == nil || *c.Text == "" {
		return ErrInvalidArgument.With("a text message has a string text that is not empty").At("content.text")
	}
	return nil
}
