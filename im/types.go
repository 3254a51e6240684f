package im

import "example.com/h5im/im/wire"

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
	if text, ok := wire.TextMember(content, "text"); !ok || text == "" {
		return ErrInvalidArgument.With("a text message has a string text that is not empty").At("content.text")
	}
	return nil
}
