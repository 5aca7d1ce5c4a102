package outbox_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

func put(o *outbox.Outbox, bodies ...string) {
	for _, body := range bodies {
		o.Put(outbox.Message{Kind: "k", Body: []byte(body)})
	}
}

// taken takes all messages and returns their bodies, and how the connection ends.
func taken(o *outbox.Outbox) (bodies string, end *outbox.Ending) {
	for {
		next, ok, end := o.Take()
		if !ok {
			return bodies, end
		}
		bodies += string(next.Body)
	}
}

func isCut(o *outbox.Outbox) bool {
	select {
	case <-o.Gone():
		return true
	default:
		return false
	}
}

func TestMessagesComeInOrder(t *testing.T) {
	o := outbox.New(3)
	put(o, "a", "b", "c")
	<-o.Wake()
	bodies, end := taken(o)
	assert.Equal(t, "abc", bodies)
	assert.Nil(t, end)
	put(o, "d")
	<-o.Wake()
	bodies, _ = taken(o)
	assert.Equal(t, "d", bodies)
	assert.False(t, isCut(o))
}

func TestTooManyMessagesCut(t *testing.T) {
	o := outbox.New(2)
	cuts := 0
	o.OnCut(func() { cuts++ })
	put(o, "a", "b")
	assert.False(t, isCut(o))
	put(o, "c", "d")
	assert.True(t, isCut(o))
	bodies, _ := taken(o)
	assert.Empty(t, bodies, "what waited is dropped")
	assert.Equal(t, 1, cuts)
	o.OnCut(func() { cuts++ })
	assert.Equal(t, 2, cuts, "it has been cut already")
}

func TestTooManyBytesCut(t *testing.T) {
	o := outbox.New(10)
	put(o, strings.Repeat("x", 65<<20))
	assert.False(t, isCut(o), "one message may be of any length")
	put(o, "y")
	assert.True(t, isCut(o))
}

func TestEndComesAfterWhatWaits(t *testing.T) {
	o := outbox.New(3)
	put(o, "a")
	o.End(outbox.Ending{Code: 1000, Reason: "first"})
	o.End(outbox.Ending{Code: 1001, Reason: "second"})
	put(o, "b")
	bodies, end := taken(o)
	assert.Equal(t, "a", bodies)
	assert.Equal(t, &outbox.Ending{Code: 1000, Reason: "first"}, end)
	assert.False(t, isCut(o))
}

func TestStalledSendsNothing(t *testing.T) {
	o := outbox.New(3)
	put(o, "a")
	o.Stall()
	put(o, "b", "c", "d", "e")
	o.End(outbox.Ending{})
	bodies, end := taken(o)
	assert.Empty(t, bodies)
	assert.Nil(t, end)
	assert.True(t, o.Stalled())
	assert.False(t, isCut(o))
	o.Cut()
	assert.True(t, isCut(o))
}
