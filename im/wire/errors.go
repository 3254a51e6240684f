package wire

// Reason is an error of the protocol: what a program can tell it by.
type Reason struct {
	Reason string `json:"reason"`
	// Code is like an HTTP status, or one that JSON-RPC reserves.
	Code int `json:"code"`
	// Meaning is what happened and what to do, in a sentence.
	Meaning string `json:"meaning"`
}

// Reasons that this package gives itself.
const (
	ReasonParse           = "parse_error"
	ReasonInvalidRequest  = "invalid_request"
	ReasonTooLarge        = "too_large"
	ReasonInvalidArgument = "invalid_argument"
)

const (
	codeTooLarge        = 413
	codeInvalidArgument = 422
)

// Reasons is the catalogue of errors, in the order of PROTOCOL.md. It is never
// changed.
var Reasons = []Reason{
	{ReasonParse, CodeParse, "The frame is not well-formed; it is the sender's fault and repeating it does not help."},
	{ReasonInvalidRequest, CodeInvalidRequest, "The message is no JSON-RPC 2.0 request."},
	{"method_not_found", CodeMethodNotFound, "The server has no such method."},
	{"unauthenticated", 401, "The credentials are missing or not valid; get new ones."},
	{"token_expired", 401, "The token has expired; get a new one, and compare serverTime with the clock."},
	{"clock_skew", 401, "The token is not valid yet; compare serverTime with the clock."},
	{"app_unknown", 401, "appId is not the one of this server."},
	{"permission_denied", 403, "The caller may not do this; repeating it does not help."},
	{"not_found", 404, "There is no such thing, or it is not the caller's to see."},
	{"conflict", 409, "The id or clientId was used for something else."},
	{"last_owner", 409, "The last owner cannot leave."},
	{"too_many", 409, "The conversation would have more members than it may."},
	{ReasonTooLarge, codeTooLarge, "Field is larger than max."},
	{ReasonInvalidArgument, codeInvalidArgument, "Field is missing or not valid."},
	{"unsupported", 422, "This server does not support it."},
	{"rate_limited", 429, "Too many requests; try again after retryAfterMs."},
	{"session_limit", 429, "The user has max sessions already."},
	{"internal", 500, "The server failed; incident finds the entry in its log."},
	{"unavailable", 503, "The server cannot do it now; try again after retryAfterMs."},
}
