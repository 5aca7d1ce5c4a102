package faultproxy

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of harm.
type Kind int

const (
	// None is an exchange that is left alone.
	None Kind = iota
	// Refuse resets the connection as soon as it is there.
	Refuse
	// Delay holds the answer back for Fault.Wait.
	Delay
	// ResetBefore resets the connection when a request begins: the server gets nothing of it.
	ResetBefore
	// ResetRequest resets it after Fault.After bytes of the request.
	ResetRequest
	// ResetAfter resets it when the server has begun to answer: the client gets nothing of that.
	ResetAfter
	// ResetMiddle resets it after Fault.After bytes of the answer.
	ResetMiddle
	// Truncate ends it there in good order.
	Truncate
	// Drip passes on the first Fault.After bytes of the answer one at a time, and waits for Fault.Wait before each.
	Drip
	// StallRequest takes no more of the request for Fault.Wait, and then ends the connection: the server gets nothing of it.
	StallRequest
	// Stall passes on nothing more of the answer after Fault.After bytes, for Fault.Wait.
	Stall
	// CloseIdle ends an idle connection in good order at the moment in which the next request comes.
	CloseIdle
	// Corrupt damages byte Fault.After of the answer. In what is not encrypted only the status line is damaged: elsewhere
	// nobody could tell.
	Corrupt
	// GoAway ends an HTTP/2 connection with GOAWAY, which says that this stream was not processed.
	GoAway
	// RefuseStream ends a stream with REFUSED_STREAM: the server gets nothing of it.
	RefuseStream
	// ResetStream ends a stream with RST_STREAM when the server has begun to answer.
	ResetStream
	kinds
)

var kindNames = [kinds]string{
	"none", "refuse", "delay", "reset before", "reset in the request", "reset after", "reset in the answer", "truncate", "drip",
	"stall before the request", "stall", "close while idle", "corrupt", "GOAWAY", "REFUSED_STREAM", "RST_STREAM",
}

func (k Kind) String() string { return kindNames[k] }

// Kinds are all kinds of harm.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds-1)
	for kind := None + 1; kind < kinds; kind++ {
		all = append(all, kind)
	}
	return all
}

// Fault is what is done to an exchange.
type Fault struct {
	Kind  Kind
	After int           // bytes
	Wait  time.Duration // 0: for ever
}

// Plan says what is done to an exchange: of which connection, counted from 0, and which of that. Exchange 0 of a
// connection is its beginning, which can only be refused; with TLS that is not looked into, exchange 1 is the handshake. A
// Plan may be called by several goroutines at once.
type Plan func(connection, exchange int) Fault

// Always does the same to every exchange.
func Always(fault Fault) Plan { return func(int, int) Fault { return fault } }

// Seeded does harm to a share of the exchanges: the beginning of a connection is refused, if that is among the kinds, and of the
// others each is as likely as the next. What it does depends on nothing but the seed and the numbers. No wait is longer than longest.
func Seeded(seed uint64, share float64, longest time.Duration, kinds ...Kind) Plan {
	refuses := slices.Contains(kinds, Refuse)
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind Kind) bool { return kind == Refuse })
	return func(connection, exchange int) Fault {
		random := rand.New(rand.NewPCG(seed, uint64(connection)<<32|uint64(uint32(exchange)))) //nolint:gosec // numbers of a test
		if random.Float64() >= share {
			return Fault{}
		}
		fault := Fault{Kind: Refuse}
		switch {
		case exchange == 0 && !refuses, exchange > 0 && len(kinds) == 0:
			return Fault{}
		case exchange > 0:
			fault.Kind = kinds[random.IntN(len(kinds))]
		}
		fault.After = 1 << random.IntN(13) // half of all answers are shorter than 1 kB
		fault.After += random.IntN(fault.After)
		fault.Wait = time.Duration(random.Int64N(int64(longest))) + 1
		if fault.Kind == Drip {
			fault.After = min(fault.After, 256)
			fault.Wait /= 256
		}
		return fault
	}
}
