package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/agentuity/coder-go"
)

// console is the page, and what is behind it.
type console struct {
	client  *coder.Client
	demo    bool // the Hub is an embedded one
	hosts   []string
	board   *board
	watches *watches
	streams chan struct{} // has one for each stream of events
}

func newConsole(client *coder.Client, demo bool, hosts []string) *console {
	c := &console{
		client: client, demo: demo, hosts: hosts, board: newBoard(client), watches: newWatches(client), streams: make(chan struct{}, maxStreams),
	}
	c.board.tell = c.watches.look
	return c
}

// handler is all that can be asked for. What is not named here is a page that says so.
func (c *console) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.home)
	mux.HandleFunc("GET /sessions/{id}", c.session)
	mux.HandleFunc("GET /events", c.events)
	mux.Handle("GET /static/", static())
	mux.HandleFunc("POST /sessions", c.start)
	mux.HandleFunc("POST /sessions/{id}/say", c.say)
	mux.HandleFunc("POST /sessions/{id}/abort", c.abort)
	mux.HandleFunc("POST /sessions/{id}/answer", c.answer)
	mux.HandleFunc("POST /sessions/{id}/archive", c.archive)
	mux.HandleFunc("POST /sessions/{id}/wake", c.wake)
	mux.HandleFunc("/", c.nowhere)
	return guard(mux, c.hosts)
}

// goodbyeTime is how long requests under way may take when the program ends. Streams of events end at once.
const goodbyeTime = 5 * time.Second

// maxHeader is how long the header of a request may be. A page may be named in it whose address is long.
const maxHeader = 32 << 10

// serve answers browsers until the context ends, and leaves nothing running.
func serve(ctx context.Context, listener net.Listener, c *console) error {
	defer c.close()
	server := &http.Server{
		Handler:           c.handler(),
		ReadHeaderTimeout: 10 * time.Second, // receive limits the time for the rest
		WriteTimeout:      time.Minute,      // a stream of events moves it with each event
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
	}
	streams, end := context.WithCancel(context.Background())
	defer end()
	server.BaseContext = func(net.Listener) context.Context { return streams }
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		end()
		late, cancel := context.WithTimeout(context.Background(), goodbyeTime)
		defer cancel()
		stopped <- server.Shutdown(late)
	})
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	if err := <-stopped; err != nil {
		return server.Close()
	}
	return nil
}

// close ends all that talks to the Hub.
func (c *console) close() {
	c.board.close()
	c.watches.close()
}
