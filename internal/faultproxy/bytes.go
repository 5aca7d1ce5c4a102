package faultproxy

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// bytes passes on what comes from reader and from the server, until one of them ends.
func (b *pair) bytes(reader io.Reader, client, server net.Conn) {
	t := &talk{pair: b, from: reader, client: client, server: server, answered: true}
	var group sync.WaitGroup
	for _, pass := range []func(){t.up, t.down} {
		group.Go(func() {
			defer b.close()
			pass()
		})
	}
	group.Wait()
}

// talk is a connection whose exchanges are told by who speaks.
type talk struct {
	*pair
	from           io.Reader // what the client sends
	client, server net.Conn

	encrypted atomic.Bool // it began with a handshake of TLS

	turn     sync.Mutex
	exchange int
	fault    Fault
	answered bool // the server spoke last
	request  int  // bytes of this exchange that were passed on
	answer   int
}

func (t *talk) up() {
	piece := make([]byte, pieceSize)
	for {
		n, err := t.from.Read(piece)
		if n > 0 && !t.ask(piece[:n]) || err != nil {
			return
		}
	}
}

func (t *talk) down() {
	piece := make([]byte, pieceSize)
	for {
		n, err := t.server.Read(piece)
		if n > 0 && !t.tell(piece[:n]) || err != nil {
			return
		}
	}
}

// ask passes on a piece of a request. It returns false if that was the last.
func (t *talk) ask(piece []byte) bool {
	exchange, fault, before := t.asked(len(piece))
	if exchange == 1 && before == 0 && piece[0] == 0x16 {
		t.encrypted.Store(true)
	}
	if !t.begin(exchange, fault) {
		return false
	}
	if fault.Kind == ResetRequest && before+len(piece) > fault.After {
		t.count(fault.Kind)
		_, _ = t.server.Write(piece[:max(0, fault.After-before)])
		t.reset()
		return false
	}
	_, err := t.server.Write(piece)
	return err == nil
}

// asked notes n bytes of the client, and how many of the same request came before.
func (t *talk) asked(n int) (exchange int, fault Fault, before int) {
	t.turn.Lock()
	defer t.turn.Unlock()
	if t.answered {
		t.exchange, t.fault = t.next()
		t.answered, t.request, t.answer = false, 0, 0
	}
	before = t.request
	t.request += n
	return t.exchange, t.fault, before
}

// told notes n bytes of the server, and how many of the same answer came before.
func (t *talk) told(n int) (fault Fault, before int) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.answered = true
	before = t.answer
	t.answer += n
	return t.fault, before
}

// tell passes on a piece of an answer. It returns false if that was the last.
func (t *talk) tell(piece []byte) bool {
	fault, before := t.told(len(piece))
	if fault.Kind == Corrupt {
		if t.damage(piece, before, fault.After) {
			t.count(Corrupt)
		}
		fault = Fault{}
	}
	return t.do(t.client, piece, before, fault)
}

// damage changes a byte, where somebody can tell.
func (t *talk) damage(piece []byte, before, at int) bool {
	const status = "HTTP/1.1 200"
	if t.encrypted.Load() {
		if at -= before; at < 0 || at >= len(piece) {
			return false
		}
		piece[at] ^= 1
		return true
	}
	if before > 0 || len(piece) < len(status) || !bytes.HasPrefix(piece, []byte("HTTP/")) {
		return false
	}
	piece[at%len(status)] = 0
	return true
}
