package main

import (
	"context"
	"log"
	"net/http"

	"github.com/olahol/melody"
)

// newMelody is a melody hub with its defaults.
func newMelody() system {
	m := melody.New()
	m.HandleMessage(func(s *melody.Session, payload []byte) {
		_, ack, event, err := handle("", payload)
		if err == nil && event != nil {
			err = m.BroadcastOthers(event, s)
		}
		if err == nil {
			err = s.Write(ack)
		}
		if err != nil {
			log.Print("melody: ", err)
		}
	})
	m.HandleError(func(_ *melody.Session, err error) { log.Print("melody: ", err) })
	return melodySystem{m}
}

type melodySystem struct{ *melody.Melody }

func (m melodySystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := m.HandleRequest(w, r); err != nil {
		log.Print("melody: ", err)
	}
}

func (m melodySystem) close(context.Context) error { return m.Close() }
