package codertest

import (
	"context"
	"net"

	"github.com/agentuity/coder-go/internal/memnet"
)

// memoryURL is what an in-memory Hub calls itself. The name cannot be
// resolved, so that a client that would dial for real fails loudly.
const memoryURL = "http://hub.invalid"

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// network is where a Hub listens and how its clients get there.
type network struct {
	listener net.Listener
	url      string
	dial     dialFunc
}

func listenLoopback() network {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			panic("codertest: cannot listen on a loopback port: " + err.Error())
		}
	}
	return network{
		listener: listener,
		url:      "http://" + listener.Addr().String(),
		dial:     new(net.Dialer).DialContext,
	}
}

func listenInMemory() network {
	listener := memnet.Listen()
	return network{listener: listener, url: memoryURL, dial: listener.Dial}
}
