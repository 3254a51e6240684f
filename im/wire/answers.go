package wire

// Incoming is one message from a server: the answer to a request, or an event.
type Incoming struct {
	ID     ID     // none: an event; null: the request could not be read
	Method string // of an event
	Params []byte // of an event, as encoded; nil if absent
	Result []byte // of an answer, as encoded; nil if Error is set
	Error  *Error // of an answer
}

// A server's frames are larger than what it accepts: content nests deeper in a
// page, and a page has up to 100 messages.
const (
	clientDepth = 32
	clientItems = 1 << 20
	clientBatch = 1024
)

var clientLimits = ScanLimits{MaxDepth: clientDepth, MaxItems: clientItems, MaxBatch: clientBatch}

func (c *codec) ParseServer(frame []byte) ([]Incoming, error) {
	messages, _, err := c.n.split(frame, clientLimits)
	if err != nil {
		return nil, err
	}
	var list []Incoming
	for _, m := range messages {
		if m.Err != nil {
			return nil, m.Err.about("the message")
		}
		var in Incoming
		if err := in.read(c.n.reader(m.Params)); err != nil {
			return nil, err
		}
		list = append(list, in)
	}
	return list, nil
}

func (m *Incoming) read(r reader) error {
	if r.peek() != objectKind {
		return wrong("an object").about("the message")
	}
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		key := string(r.key())
		kind := r.peek()
		switch {
		case key == "id" && kind == nullKind:
			r.skip()
			m.ID = NullID()
		case key == "id":
			id, err := readID(r)
			if err != nil {
				return err
			}
			m.ID = id
		case key == "method" && kind == textKind:
			m.Method = r.text()
		case key == "params" && kind == objectKind:
			m.Params = r.raw()
		case key == "result":
			m.Result = r.raw()
		case key == "error" && kind == objectKind:
			m.Error = new(Error)
			if err := decode(r, m.Error); err != nil {
				return err
			}
		default:
			r.skip()
		}
	}
	if m.Method == "" && m.Result == nil && m.Error == nil {
		return invalidRequest("the message is neither an answer nor an event")
	}
	return nil
}
