package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// newServer serves each way below its name.
func newServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/"+modest+"/", beModest)
	for _, w := range ways {
		mux.HandleFunc("/"+strings.ReplaceAll(w.name, " ", "-")+"/", func(rw http.ResponseWriter, r *http.Request) {
			events := r.Header.Get("Accept") == "text/event-stream"
			switch {
			case strings.HasSuffix(r.URL.Path, "/sent"):
				<-framesSent
				return
			case events:
				rw.Header().Set("Content-Type", "text/event-stream")
			case strings.HasPrefix(w.title, "StreamEvents"): // whether the session is over
				beModest(rw, r)
				return
			default:
				rw.Header().Set("Content-Type", "application/json")
			}
			_ = w.serve(rw, r, w.size) // that the reader has gone is what most of them wait for
		})
	}
	return mux
}

func beModest(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"sessionId":"`+session+`"}`)
}

// framesSent is closed when a client has been sent all messages, or takes no more.
var framesSent = make(chan struct{})

// frames sends messages of a kilobyte. A write that takes longer than a client needs that reads is one that waits for room.
func frames(w http.ResponseWriter, r *http.Request, size int64) error {
	defer close(framesSent)
	conn, err := admit(w, r)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	message := []byte(`{"type":"x","text":"` + strings.Repeat("x", 100*kilo) + `"}`)
	for left := size; left > 0; left -= int64(len(message)) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		err := conn.Write(ctx, websocket.MessageText, message)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
