package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrSilent says that a body yielded nothing for too long.
var ErrSilent = errors.New("the answer stopped in the middle")

// afterSilence is how long a RoundTripper that ignores the context is waited for.
const afterSilence = time.Second

// watch reads the body of an attempt, and ends the attempt when the body stays silent under a
// pending Read. It cancels the attempt's context: to close a body under a pending Read makes some
// versions of net/http wait for that Read.
type watch struct {
	body    io.ReadCloser
	cancel  context.CancelFunc
	silence time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	reading bool
	silent  bool
	until   time.Time // of the Read under way
}

// over begins to watch the body of another attempt.
func (w *watch) over(body io.ReadCloser, cancel context.CancelFunc, silence time.Duration) *watch {
	w.body, w.cancel, w.silence = body, cancel, silence
	return w
}

// Read reads the body. It fails with ErrSilent when nothing comes for too long.
func (w *watch) Read(p []byte) (int, error) {
	w.mu.Lock()
	w.reading, w.until = true, time.Now().Add(w.silence)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.silence, w.giveUp)
	} else {
		w.timer.Reset(w.silence)
	}
	w.mu.Unlock()

	n, err := w.body.Read(p)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = false
	w.timer.Stop()
	if w.silent && err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: no byte for %v", ErrSilent, w.silence)
	}
	return n, err
}

// giveUp is called when the time is up, and again if cancelling did not help.
func (w *watch) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.reading: // it was too late
	case w.silent:
		_ = w.body.Close()
	case time.Now().Before(w.until): // it was too late, and another Read has begun
	default:
		w.silent = true
		w.cancel()
		w.timer.Reset(afterSilence)
	}
}

// forget forgets that an attempt was given up.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = false
}

// Stream is the body of an answer that is read while it arrives.
type Stream struct{ watch *watch }

// Read reads the body. It fails with ErrSilent when nothing comes for too long.
func (s *Stream) Read(p []byte) (int, error) { return s.watch.Read(p) }

// SetSilence changes how long the body may be silent, from the next Read on.
func (s *Stream) SetSilence(d time.Duration) { s.watch.silence = d }

// Close ends the request, and the connection if the body was not read to its end.
func (s *Stream) Close() error {
	s.watch.cancel()
	return s.watch.body.Close()
}
