package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"example.com/h5im/im/wire"
	"github.com/vmihailenco/msgpack/v5"
)

var codecs = []wire.Codec{wire.JSON, wire.Msgpack}

// scan is the pre-scan alone.
func scan(c wire.Codec, b []byte, limits wire.ScanLimits) error {
	if c == wire.Msgpack {
		return wire.ScanMsgpack(b, limits)
	}
	return wire.ScanJSON(b, limits)
}

func sendRequest(t testing.TB, c wire.Codec) []byte {
	t.Helper()
	b, err := c.AppendRequest(nil, wire.NumberID(7), "message.send", &wire.SendParams{
		To: wire.Target{User: "bob"}, ClientID: "0198c0de-7f3a-7c11-9b53-2f1d0a3c5e77",
		Content: wire.Content(`{"text":"see you at eight"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func typicalMessage() *wire.Message {
	return &wire.Message{
		Conversation: "d_3kq8Zp0YxWmT5vRb", Seq: 1204, Rev: 1377, Count: 1188, ID: "m_9fQ2hXw7Lc4d",
		ClientID: "0198c0de-7f3a-7c11-9b53-2f1d0a3c5e77", From: "alice", Time: 1789000000000, Type: "text",
		Content: wire.Object(`{"text":"see you at eight"}`),
	}
}

// event is the message event as the libraries marshal it.
type event struct {
	JSONRPC string        `json:"jsonrpc"`
	Method  string        `json:"method"`
	Params  *wire.Message `json:"params"`
}

func BenchmarkScan(b *testing.B) {
	for _, c := range codecs {
		frame := sendRequest(b, c)
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if err := scan(c, frame, wire.ScanLimits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseAndDecodeSend(b *testing.B) {
	for _, c := range codecs {
		frame := sendRequest(b, c)
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				requests, _, err := c.Parse(frame, wire.ScanLimits{})
				if err != nil {
					b.Fatal(err)
				}
				var p wire.SendParams
				if err := c.Decode(requests[0].Params, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	frame := sendRequest(b, wire.JSON)
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var q struct {
				JSONRPC string
				ID      json.RawMessage
				Method  string
				Params  wire.SendParams
			}
			if err := json.Unmarshal(frame, &q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMessageEvent(b *testing.B) {
	m := typicalMessage()
	e := event{"2.0", wire.EventMessage, m}
	for _, c := range codecs {
		dst := make([]byte, 0, 1024)
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.AppendMessageEvent(dst, m)
			}
		})
		b.Run(c.Name()+"-against-library", func(b *testing.B) {
			var ours, library time.Duration
			for b.Loop() { // alternately, so that both see the same machine
				start := time.Now()
				for range 100 {
					c.AppendMessageEvent(dst, m)
				}
				middle := time.Now()
				for range 100 {
					if _, err := msgpack.Marshal(e); err != nil {
						b.Fatal(err)
					}
				}
				ours, library = ours+middle.Sub(start), library+time.Since(middle)
			}
			b.ReportMetric(float64(ours)/float64(library), "x-msgpack.Marshal")
		})
		b.Run(c.Name()+"-reflective", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.AppendEvent(dst, wire.EventMessage, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("msgpack.Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := msgpack.Marshal(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPageOf50(b *testing.B) {
	page := &wire.ListResult{From: 1155, To: 1204, FirstSeq: 1, Rev: 1377, More: true}
	for range 50 {
		page.Messages = append(page.Messages, *typicalMessage())
	}
	for _, c := range codecs {
		dst, err := c.AppendResult(nil, wire.NumberID(1), page)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.Name()+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				_, _ = c.AppendResult(dst[:0], wire.NumberID(1), page)
			}
		})
		b.Run(c.Name()+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				answers, err := c.ParseServer(dst)
				if err != nil {
					b.Fatal(err)
				}
				var got wire.ListResult
				if err := c.Decode(answers[0].Result, &got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("library/json/encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(page)
		}
	})
	b.Run("library/msgpack/encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = msgpack.Marshal(page)
		}
	})
	buf, _ := json.Marshal(page)
	b.Run("library/json/decode", func(b *testing.B) {
		for b.Loop() {
			var got wire.ListResult
			_ = json.NewDecoder(bytes.NewReader(buf)).Decode(&got)
		}
	})
}

func BenchmarkTranscodeEvent(b *testing.B) {
	msg := wire.JSON.AppendMessageEvent(nil, typicalMessage())
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Transcode(dst, msg); err != nil {
			b.Fatal(err)
		}
	}
}
