package wire

// CompactObject checks that b is a JSON object as messages carry them: within
// the limits, valid UTF-8, no duplicate names, integers within 2^53. It returns
// a copy without white space; strings and numbers stay as they were written. The
// error is an *Error.
func CompactObject(b []byte, limits ScanLimits) (Object, error) {
	if err := ScanJSON(b, limits); err != nil {
		return nil, err
	}
	r := &jsonReader{b: b}
	if r.peek() != objectKind {
		return nil, wrong("an object").about("the value")
	}
	o, err := r.appendJSON(make([]byte, 0, len(b)))
	if err != nil {
		return nil, err.about("the value")
	}
	return o, nil
}

// TextMember returns the string that a member of a scanned object is.
func TextMember(o []byte, name string) (text string, ok bool) {
	r := &jsonReader{b: o}
	if r.peek() != objectKind {
		return "", false
	}
	for c, more := r.next(r.enter()); more; c, more = r.next(c) {
		switch found := string(r.key()) == name; {
		case !found:
			r.skip()
		case r.peek() != textKind:
			return "", false
		default:
			return r.text(), true
		}
	}
	return "", false
}

// Transcode appends a JSON message, or any JSON value, as msgpack. The JSON is
// scanned first.
func Transcode(dst, json []byte) ([]byte, error) {
	if err := ScanJSON(json, clientLimits); err != nil {
		return dst, err
	}
	return msgpackNotation{}.json(dst, json), nil
}
