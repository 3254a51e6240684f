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
	// Not a struct: encoding/json would take "Text" for the field.
	var fields map[string]json.RawMessage
	var text string
	if json.Unmarshal(content, &fields) != nil || json.Unmarshal(fields["text"], &text) != nil || text == "" {
		return ErrInvalidArgument.With("a text message has a string text that is not empty").At("content.text")
	}
	return nil
}
