package main

import (
	"context"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

// grace is how long a session is followed after the last browser has left it: it may only load the page again.
const grace = 10 * time.Second

// watches are the sessions that browsers show: each is followed once.
type watches struct {
	client *coder.Client
	ctx    context.Context
	stop   context.CancelFunc
	ends   sync.WaitGroup

	mu  sync.Mutex
	all map[string]*watched
}

// watched is a session that is followed, and for how many.
type watched struct {
	*watch
	stop    context.CancelFunc
	users   int
	leaving *time.Timer // since there is no user any more
}

func newWatches(client *coder.Client) *watches {
	s := &watches{client: client, all: make(map[string]*watched)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// use returns the watch of a session, which begins with the first user and ends some time after the last has called leave.
func (s *watches) use(id string) (w *watch, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[id]
	if one == nil {
		one = &watched{watch: newWatch(s.client, id)}
		ctx, stop := context.WithCancel(s.ctx)
		one.stop = stop
		s.all[id] = one
		s.ends.Go(func() { one.run(ctx) })
	}
	if one.leaving != nil {
		one.leaving.Stop()
	}
	one.users++
	return one.watch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if one.users--; one.users == 0 {
			one.leaving = time.AfterFunc(grace, func() { s.forget(id, one) })
		}
	}
}

// forget ends a watch that nobody uses.
func (s *watches) forget(id string, one *watched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.users == 0 && s.all[id] == one {
		delete(s.all, id)
		one.stop()
	}
}

// look tells the watches what the list of sessions has of them.
func (s *watches) look(items []coder.SessionListItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range items {
		if one := s.all[items[i].SessionID]; one != nil {
			one.noticed(&items[i])
		}
	}
}

// close ends all of them.
func (s *watches) close() {
	s.stop()
	s.ends.Wait()
}
