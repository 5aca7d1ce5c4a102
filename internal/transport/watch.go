package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/quote"
)

// ErrSilent says that a body yielded too little for too long.
var ErrSilent = errors.New("the answer stopped in the middle")

const (
	// afterSilence is how long a RoundTripper that ignores the context is waited for.
	afterSilence = time.Second
	// leastProgress is how much a body that is read whole has to bring within the limit on silence. A
	// stream of events may be as slow as it likes: a byte is progress.
	leastProgress = 1 << 10
	// errorBodyTime is how long the body of an error is read. Its status is known.
	errorBodyTime = 5 * time.Second
)

// watch reads the body of an attempt, and ends the attempt when the body makes no progress under a pending
// Read. It cancels the attempt's context: to close a body under a pending Read makes some versions of
// net/http wait for that Read.
type watch struct {
	body    io.ReadCloser
	cancel  context.CancelFunc
	silence time.Duration
	least   int // bytes that count as progress

	mu      sync.Mutex
	timer   *time.Timer
	reading bool
	silent  bool
	total   int64     // bytes of this attempt
	got     int       // bytes since the last progress
	until   time.Time // when the next progress is due; zero: not begun
}

// over begins to watch the body of another attempt.
func (w *watch) over(body io.ReadCloser, cancel context.CancelFunc, silence time.Duration, least int) *watch {
	w.body, w.cancel, w.silence, w.least = body, cancel, silence, least
	w.total, w.got, w.until = 0, 0, time.Time{}
	return w
}

// Read reads the body. It fails with ErrSilent when too little comes for too long.
func (w *watch) Read(p []byte) (int, error) {
	w.mu.Lock()
	now := time.Now()
	if w.until.IsZero() {
		w.until = now.Add(w.silence)
	}
	w.reading = true
	if left := w.until.Sub(now); w.timer == nil {
		w.timer = time.AfterFunc(left, w.giveUp)
	} else {
		w.timer.Reset(left)
	}
	w.mu.Unlock()

	n, err := w.body.Read(p)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = false
	w.timer.Stop()
	w.total += int64(n)
	if w.got += n; w.got >= w.least {
		w.got, w.until = 0, time.Time{}
	}
	if w.silent && err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: less than %d bytes in %v", ErrSilent, w.least, w.silence)
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

// Stream is a response body that is read while it arrives.
type Stream struct {
	watch  *watch
	secret quote.Redactor // net/http quotes trailers, and what a GOAWAY says
}

// Read reads the body. It fails with ErrSilent when nothing comes for too long.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.watch.Read(p)
	return n, s.secret.Error(err)
}

// SetSilence changes how long the body may be silent, from the next Read on.
func (s *Stream) SetSilence(d time.Duration) { s.watch.silence = d }

// Close ends the request, and the connection if the body was not read to its end.
func (s *Stream) Close() error {
	s.watch.cancel()
	return s.watch.body.Close()
}
