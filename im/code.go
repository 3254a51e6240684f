package im

import (
	"errors"
	"fmt"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// Error is what an operation answers when it fails. Compare with errors.Is and
// one of the values below: errors are equal when their Reason is.
type Error struct {
	Code       int           // like an HTTP status, or a reserved JSON-RPC code below zero
	Reason     string        // stable; part of the protocol
	Message    string        // for developers, in English
	Field      string        // the offending parameter, "" if none
	Max        int64         // the limit that was exceeded, 0 if none
	RetryAfter time.Duration // when to try again, 0 if it does not help
	ServerTime time.Time     // in errors of authentication, so that a client sees its own clock's fault
	Incident   string        // finds the log entry of an internal error
}

// The catalogue. A host returns these, or a copy made by With, from its
// Authenticator, Policy and Middleware; any other error reaches a client as
// ErrInternal with an incident, its text going to the log only.
var (
	ErrUnauthenticated  = &Error{Code: 401, Reason: "unauthenticated", Message: "the credentials are missing or not valid"}
	ErrTokenExpired     = &Error{Code: 401, Reason: "token_expired", Message: "the token has expired; compare serverTime with your clock"}
	ErrClockSkew        = &Error{Code: 401, Reason: "clock_skew", Message: "the token is not valid yet; compare serverTime with your clock"}
	ErrAppUnknown       = &Error{Code: 401, Reason: "app_unknown", Message: "appId is not the one of this server"}
	ErrPermissionDenied = &Error{Code: 403, Reason: "permission_denied", Message: "you may not do this"}
	ErrNotFound         = &Error{Code: 404, Reason: "not_found", Message: "there is no such thing, or it is not yours to see"}
	ErrConflict         = &Error{Code: 409, Reason: "conflict", Message: "this id was used for something else"}
	ErrLastOwner        = &Error{Code: 409, Reason: "last_owner", Message: "the last owner cannot leave"}
	ErrTooMany          = &Error{Code: 409, Reason: "too_many", Message: "the conversation would have too many members"}
	ErrTooLarge         = &Error{Code: 413, Reason: "too_large", Message: "this is larger than allowed"}
	ErrInvalidArgument  = &Error{Code: 422, Reason: "invalid_argument", Message: "a parameter is not valid"}
	ErrUnsupported      = &Error{Code: 422, Reason: "unsupported", Message: "this is not supported here"}
	ErrRateLimited      = &Error{Code: 429, Reason: "rate_limited", Message: "too many requests"}
	ErrSessionLimit     = &Error{Code: 429, Reason: "session_limit", Message: "this user has too many sessions"}
	ErrInternal         = &Error{Code: 500, Reason: "internal", Message: "something went wrong on the server"}
	ErrUnavailable      = &Error{Code: 503, Reason: "unavailable", Message: "the server cannot do this now; try again", RetryAfter: time.Second}
	ErrMethodNotFound   = &Error{Code: wire.CodeMethodNotFound, Reason: "method_not_found", Message: "there is no such method"}
)

// Error tells the reason, the message and the field.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("im: %s: %s (%s)", e.Reason, e.Message, e.Field)
	}
	return fmt.Sprintf("im: %s: %s", e.Reason, e.Message)
}

// Is tells that target is an *Error of the same reason.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// With returns a copy with another message.
func (e *Error) With(message string) *Error {
	c := *e
	c.Message = message
	return &c
}

// At returns a copy that names the offending field.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// after returns a copy that says when to try again.
func (e *Error) after(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// over returns a copy that names the field and its limit.
func (e *Error) over(field string, limit int) *Error {
	c := *e
	c.Field, c.Max = field, int64(limit)
	return &c
}

func (e *Error) wire() *wire.Error {
	d := &wire.ErrorData{
		Reason: e.Reason, Field: e.Field, Max: e.Max,
		RetryAfterMs: e.RetryAfter.Milliseconds(), Incident: e.Incident,
	}
	if !e.ServerTime.IsZero() {
		d.ServerTime = e.ServerTime.UnixMilli()
	}
	return &wire.Error{Code: e.Code, Message: e.Message, Data: d}
}

// ErrorFromWire is for clients of the protocol: what a server answered as an Error.
func ErrorFromWire(w *wire.Error) *Error {
	e := &Error{Code: w.Code, Message: w.Message}
	if w.Data != nil {
		e.Reason, e.Field, e.Max, e.Incident = w.Data.Reason, w.Data.Field, w.Data.Max, w.Data.Incident
		e.RetryAfter = time.Duration(w.Data.RetryAfterMs) * time.Millisecond
		if w.Data.ServerTime != 0 {
			e.ServerTime = time.UnixMilli(w.Data.ServerTime)
		}
	}
	return e
}

// fromStore maps a store's sentinels. An outsider learns the same of what
// exists and of what does not.
func fromStore(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNotMember):
		return ErrNotFound
	case errors.Is(err, store.ErrConflict):
		return ErrConflict
	case errors.Is(err, store.ErrLastOwner):
		return ErrLastOwner
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrClosed):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
