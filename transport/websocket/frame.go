package websocket

import "encoding/binary"

// The opcodes that we write or look for, with the FIN bit: a server's frames
// are whole messages. https://www.rfc-editor.org/rfc/rfc6455#section-5.2
const (
	finText   = 0x80 | 0x1
	finBinary = 0x80 | 0x2
	finClose  = 0x80 | 0x8
	finPing   = 0x80 | 0x9
	finPong   = 0x80 | 0xA
)

var (
	pingFrame = []byte{finPing, 0}
	// pongHead begins its answer: masked, without payload.
	pongHead = []byte{finPong, 0x80}
)

const maskBytes = 4

// appendFrame appends one unmasked frame with the payload.
func appendFrame(b []byte, first byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
	}
	return append(b, payload...)
}

// maxHeader is the largest header of an unmasked frame.
const maxHeader = 10

func closeFrame(code int, reason string) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(nil, finClose, append(payload, reason...))
}

// closeCode returns the code of a whole close frame, 0 if it has none.
func closeCode(frame []byte) int {
	if len(frame) < 4 {
		return 0
	}
	return int(binary.BigEndian.Uint16(frame[2:]))
}
