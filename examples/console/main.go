// Console is a page for the browser: the sessions of a Hub by bucket, the answers of their agents while they are written, and
// what there is to say to them. One can start a session, steer its agent or stop it, answer what it asks, and archive it.
//
//	go run ./examples/console                              # then open the address that it prints
//	go run ./examples/console -addr 127.0.0.1:9000
//	go run ./examples/console -host console.example.com    # behind a proxy with a login, on this machine
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts a Hub of its own in memory,
// with sessions to try it on.
//
// Who can open the page can start agents, and it asks for no password. So it listens on loopback only, answers only to browsers
// that call it by a name of loopback, and takes orders only from its own pages. To reach it from elsewhere put a proxy before it
// that asks for a login, or a tunnel: -host says by which names browsers may call it then. With -host it can listen at other
// addresses too, for a proxy elsewhere; then see to it that nobody but the proxy can reach it. The key of the Hub stays here.
//
// Ctrl-C ends it; what the agents are at goes on at the Hub. The second Ctrl-C ends it at once. It ends with status 0 after
// -help, 1 if it cannot serve, 2 if it was called wrongly, and 130 after Ctrl-C.
//
// How it works: watch.go is the heart. It attaches to a session once, however many browsers show it, keeps a
// [coder.Conversation] of it and numbers its changes. stream.go sends them to a browser as Server-Sent Events: a snapshot, then
// change after change, from where that browser was. static/console.js applies them. board.go has the list of sessions,
// actions.go what a browser may ask for, pages.go the HTML around all that, security.go who may ask, problems.go what to say
// when it does not work, and demo.go the Hub without an account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/agentuity/coder-go"
)

func main() {
	p := &program{out: os.Stdout, errs: os.Stderr, interrupts: func(ctx context.Context) (context.Context, context.CancelFunc) {
		return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// The statuses that it ends with.
const (
	allWell     = 0
	notWell     = 1
	badUsage    = 2
	interrupted = 130
)

// program is what console has to do with the world.
type program struct {
	out, errs io.Writer
	// interrupts ends a context with the first Ctrl-C, until the function that it returns is called.
	interrupts func(context.Context) (context.Context, context.CancelFunc)
}

// settings are what the flags say.
type settings struct {
	address string
	hosts   []string
}

const usage = `usage: console [flags]

Serves a page on which to see sessions, and to talk to their agents, at the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL
names. Without either it starts a Hub of its own in memory, with sessions to try it on.

`

func (p *program) run(ctx context.Context, args []string) int {
	s, err := p.parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return allWell
	case err != nil:
		return p.complain(badUsage, err)
	}
	ctx, release := p.interrupts(ctx)
	defer release()
	context.AfterFunc(ctx, release) // the next Ctrl-C ends the program as if it had never asked for signals

	listener, err := listen(ctx, s.address)
	if err != nil {
		return p.complain(notWell, err)
	}
	defer listener.Close()
	client, demo, stop, err := connect(ctx)
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return p.complain(notWell, err)
	}
	defer stop()

	p.welcome(listener.Addr(), demo)
	if err := serve(ctx, listener, newConsole(client, demo, s.hosts)); err != nil {
		return p.complain(notWell, err)
	}
	fmt.Fprintln(p.errs, "console: the end;", farewell(demo))
	return interrupted
}

// parse reads the flags.
func (p *program) parse(args []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller says what is wrong
	flags.StringVar(&s.address, "addr", "127.0.0.1:8090", "the `host:port` to listen at; with port 0 a free one")
	flags.Func("host", "a `name` by which browsers may call it, besides localhost; may be given several times", func(name string) error {
		if name == "" || strings.ContainsAny(name, "/:@, ") {
			return errors.New("it is no name of a host, such as console.example.com")
		}
		s.hosts = append(s.hosts, strings.ToLower(name))
		return nil
	})
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(p.out)
		fmt.Fprint(p.out, usage)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; -help tells the flags", err)
	case flags.NArg() > 0:
		return nil, fmt.Errorf("what is %q? All it is told are flags: -help tells them", flags.Arg(0))
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// check refuses to let in whoever can reach this machine, unless somebody has thought of it.
func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.address)
	switch {
	case err != nil:
		return fmt.Errorf("-addr %q: it is no host:port, such as 127.0.0.1:8090", s.address)
	case !isLoopback(host) && len(s.hosts) == 0:
		return fmt.Errorf("-addr %q: others could reach it there, and start agents: the page asks for no password. "+
			"Listen at 127.0.0.1, and put a proxy with a login on this machine if others are to see it (-host is its name)", s.address)
	}
	return nil
}

// listen opens the address, and says what to do where that fails.
func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	const onWindows = syscall.Errno(10048) // WSAEADDRINUSE, which syscall.EADDRINUSE is not
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, onWindows):
		return nil, fmt.Errorf("another program listens at %s: end it, or choose another port with -addr (0: a free one)", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen at %s: %w", address, err)
	}
	return listener, nil
}

// connect returns a client of the Hub that the environment names, or of one that it starts.
func connect(ctx context.Context) (client *coder.Client, demo bool, stop func(), err error) {
	if os.Getenv("AGENTUITY_SDK_KEY") == "" && os.Getenv("AGENTUITY_CODER_URL") == "" {
		client, stop, err = embedded(ctx)
		return client, true, stop, err
	}
	if client, err = coder.NewClient(); err != nil {
		return nil, false, nil, err
	}
	return client, false, client.CloseIdleConnections, nil
}

// welcome says where the page is.
func (p *program) welcome(at net.Addr, demo bool) {
	if demo {
		fmt.Fprintln(p.out, "No AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: this is a demonstration, on an embedded Hub.")
	}
	address := at.String()
	if host, port, err := net.SplitHostPort(address); err == nil && !isLoopback(host) {
		fmt.Fprintf(p.errs, "console: Whoever can reach %s can start agents, without a login. Let only the proxy reach it.\n", address)
		address = "localhost:" + port // the address of all interfaces is none to open
	}
	fmt.Fprintf(p.out, "The console is at http://%s until Ctrl-C.\n", address)
}

func farewell(demo bool) string {
	if demo {
		return "the embedded Hub is gone"
	}
	return "the sessions go on at the Hub"
}

func (p *program) complain(status int, err error) int {
	for line := range strings.Lines(explain(err)) { // errors that were joined
		fmt.Fprintln(p.errs, "console:", strings.TrimSpace(line))
	}
	return status
}
