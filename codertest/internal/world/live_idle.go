package world

import (
	"time"
)

// idleLimit is for how long nothing but signs of life may come and go in fake
// time.
const idleLimit = 7 * 24 * time.Hour

const idleTooLong = "codertest: in a week of fake time nothing has come and gone but pings: " +
	"a program waits for a message that nobody sends. Give its context a timeout."

// idleness finds a program in a bubble that waits for a message which does not
// come. The pings of its connection let the fake time of the bubble go on for ever,
// and its test would never end.
type idleness struct {
	fake bool
	last time.Time // when something came or went that is no sign of life
}

// newIdleness looks at the clock to tell a bubble: there time begins with the year
// 2000, many years before anything in this module was written.
func newIdleness(now time.Time) idleness {
	return idleness{fake: now.UTC().Year() == 2000, last: now}
}

// news notes that something has happened.
func (i *idleness) news(now time.Time) { i.last = now }

// signOfLife notes a ping or a comment that keeps a stream alive. If there has
// been nothing else for too long, and no agent is about to go on, it ends the
// program: whoever asks has no test to fail, and net/http would hide a panic of its
// goroutine.
func (w *World) signOfLife(now time.Time) {
	if !w.idle.fake || now.Sub(w.idle.last) < idleLimit {
		return
	}
	for s := range w.sessions.oldestFirst() {
		if s.agent.timer != nil || s.agent.asking != nil && s.agent.asking.timer != nil {
			return
		}
	}
	go panic(idleTooLong)
}

// KeptAlive tells the World of a sign of life that it did not see itself.
func (c *Connection) KeptAlive() {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.world.signOfLife(time.Now())
}
