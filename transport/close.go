package transport

import "unicode/utf8"

// maxReason is what a close frame has room for beside the code.
// https://www.rfc-editor.org/rfc/rfc6455#section-5.5
const maxReason = 123

// CutReason returns the start of a close reason that fits a close frame: at
// most 123 bytes, whole characters.
func CutReason(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
