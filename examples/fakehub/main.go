// Fakehub serves the fake Hub of package codertest at a fixed address, for curl, browsers and programs in any
// language.
//
//	go run ./examples/fakehub
//	go run ./examples/fakehub -addr 127.0.0.1:8080 -pace 60ms -v
//
// It prints its URL and how to point a client at it, and serves until Ctrl-C. All it knows is in memory, and
// gone afterwards. It needs no account.
//
// It demands no API key unless -key names one, so whoever reaches the address may use it: it listens on
// loopback only unless -addr says otherwise, and warns where it is open to others. A page of another origin may open its WebSockets, and read its
// answers and streams of events with -cors only; nobody knows yet whether a real Hub lets such pages do that.
//
// -v prints a line for each request when it has ended, and one when a stream of events or a WebSocket opens:
// time, method, route, status, duration. Never an id, a query, a body or a key.
//
// Ctrl-C is how it ends, with status 0; a second one ends it at once. The status is 1 if it cannot listen, and 2 if it was
// called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(cli.Status(os.Stderr, "fakehub", run(ctx, os.Args[1:], os.Stdout), false))
}

// run serves until the context ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fakehub", flag.ContinueOnError)
	address := flags.String("addr", "127.0.0.1:8080", "the `host:port` to listen at; with port 0 a free one")
	var pace time.Duration
	flags.Func("pace", "how `long` the agent rests before each thing it says, as 60ms (default: not at all)", func(text string) error {
		var err error
		pace, err = duration(text)
		return err
	})
	version := flags.String("agent", "1.6.0", "the `version` of the agent: 0.74.2 or 1.6.0")
	dialect := flags.String("dialect", "rpc", "how the agent reports: rpc, as in a sandbox, or extension, as in a terminal")
	key := flags.String("key", "", "the API `key` to demand, a made-up one (default: none)")
	cors := flags.String("cors", "", "the `origin` whose pages may read answers, as http://localhost:5173, or * for all (default: none)")
	verbose := flags.Bool("v", false, "print a line for each request")
	if err := cli.Parse(flags, args, out); err != nil {
		return err
	}
	options, err := agent(*version, *dialect, pace)
	if err != nil {
		return cli.Wrong(err)
	}
	if err := checkOrigin(*cors); *cors != "" && err != nil {
		return cli.Wrong(err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	const onWindows = syscall.Errno(10048) // WSAEADDRINUSE, which syscall.EADDRINUSE is not
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, onWindows) {
		return fmt.Errorf("another program listens at %s: end it, or choose another port with -addr (0: a free one)", *address)
	}
	if err != nil {
		return fmt.Errorf("cannot listen at %s: %w", *address, err)
	}
	// Nobody asks this Hub what it was asked.
	options = append(options, codertest.WithListener(listener), codertest.WithAPIKey(*key), codertest.WithLogLimit(0))
	lines := &lines{out: out}
	if *verbose {
		options = append(options, codertest.WithMiddleware(lines.log))
	}
	if *cors != "" {
		options = append(options, codertest.WithMiddleware(allow(*cors)))
	}
	hub := codertest.NewHub(options...)
	defer hub.Close()
	lines.print(welcome(hub.URL(), *key != "", *cors) + warning(listener.Addr(), *key != ""))
	<-ctx.Done()
	lines.print("fakehub: the end\n")
	sayGoodbye(hub)
	return nil
}

// duration reads a time, and says what is missing of one.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("a unit is needed, as in %sms or %[1]ss", text)
	}
	return 0, errors.New("it is no time, such as 60ms or 1.5s")
}

// checkOrigin checks what a browser would send as the Origin of a page, or *. It sends nothing but scheme, host and port.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if origin == "*" || err == nil && u.Scheme != "" && u.Hostname() != "" && origin == strings.ToLower(u.Scheme+"://"+u.Host) && !strings.Contains(u.Host, ",") {
		return nil
	}
	return fmt.Errorf("-cors %q: it is no origin: scheme://host or scheme://host:port, as http://localhost:5173, or * for all", origin)
}

// warning says who can use the Hub besides this machine, "" for nobody.
func warning(at net.Addr, demandsKey bool) string {
	address, ok := at.(*net.TCPAddr)
	if demandsKey || !ok || address.IP.IsLoopback() {
		return ""
	}
	where := "at " + address.IP.String()
	if address.IP.IsUnspecified() {
		where = "at all addresses of this machine"
	}
	return "Warning: it listens " + where + " and demands no key: whoever reaches this machine may use it. See -key and -addr.\n\n"
}

// agent returns the options of the Hub that say how its agent behaves.
func agent(version, dialect string, pace time.Duration) ([]codertest.Option, error) {
	if version != "0.74.2" && version != "1.6.0" {
		return nil, fmt.Errorf("-agent %q: there are 0.74.2 and 1.6.0", version)
	}
	dialects := map[string]codertest.AgentDialect{"rpc": codertest.DialectRPC, "extension": codertest.DialectExtension}
	spoken, known := dialects[dialect]
	switch {
	case !known:
		return nil, fmt.Errorf("-dialect %q: there are rpc and extension", dialect)
	case pace < 0:
		return nil, errors.New("-pace must not be negative")
	}
	return []codertest.Option{
		codertest.WithAgentVersion(version), codertest.WithAgentDialect(spoken), codertest.WithAgentPace(pace),
	}, nil
}

// welcome says how to use the Hub.
func welcome(url string, demandsKey bool, cors string) string {
	about, key, header, query := "It demands no API key: a client may send any, or none.", "fake", "", ""
	if demandsKey {
		about = "It demands the API key of -key: the commands below want it in AGENTUITY_SDK_KEY."
		key, header, query = "$AGENTUITY_SDK_KEY", ` -H "Authorization: Bearer $AGENTUITY_SDK_KEY"`, "&api_key=$AGENTUITY_SDK_KEY"
	}
	pages := "Pages of other origins cannot read its answers: see -cors."
	if cors != "" {
		pages = "Pages of " + strings.Replace(cors, "*", "all origins", 1) + " can read its answers."
	}
	return strings.NewReplacer(
		"{url}", url, "{ws}", "ws"+strings.TrimPrefix(url, "http"), "{about}", about, "{pages}", pages,
		"{key}", key, "{header}", header, "{query}", query,
	).Replace(`A fake Coder Hub is at {url} until Ctrl-C. It keeps everything in memory.
{about}
{pages}

This library, and every program that reads its environment variables:

  export AGENTUITY_CODER_URL="{url}" AGENTUITY_SDK_KEY="{key}"
  go run ./examples/quickstart

The TypeScript client:

  new CoderClient({ url: '{url}', apiKey: process.env.AGENTUITY_SDK_KEY })

curl: create a session, look at it three times, which is what moves it on to active, and see what its agent did:

  id=$(curl -gs{header} -H 'Content-Type: application/json' -d '{"task":"Say hello"}' "{url}/api/hub/session" | sed 's/.*"sessionId":"\([^"]*\)".*/\1/')
  for look in 1 2 3; do curl -gs{header} "{url}/api/hub/session/$id"; done
  curl -gs{header} "{url}/api/hub/session/$id/replay"

and follow it, until Ctrl-C:

  curl -gN{header} "{url}/api/hub/session/$id/events"

WebSocket: "{ws}/api/ws?role=observer&sessionId=$id{query}"

`)
}

// lines prints whole lines, for several goroutines.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, text)
}

// log is the middleware of -v.
func (l *lines) log(next http.Handler) http.Handler {
	line := func(r *http.Request, status, after string) {
		pattern := r.Pattern
		if pattern == "" {
			pattern = methodOf(r) + " (no such route)"
		}
		l.print(fmt.Sprintf("%s %s %s %s\n", time.Now().Format("15:04:05.000"), pattern, status, after))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		noted := &statusNote{ResponseWriter: w}
		noted.opened = func() { line(r, fmt.Sprint(noted.status), "open") }
		defer func() {
			status := "cut" // the Hub has hung up, or the client has
			if noted.status != 0 {
				status = fmt.Sprint(noted.status)
			}
			line(r, status, time.Since(began).Round(10*time.Microsecond).String())
		}()
		next.ServeHTTP(noted, r)
	})
}

// methodOf is the method of a request, fit for a terminal: a client may send any.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return fmt.Sprintf("%.20q", r.Method)
}

// statusNote notes the status of an answer.
type statusNote struct {
	http.ResponseWriter
	status int
	opened func() // the answer is a live channel
}

func (n *statusNote) WriteHeader(status int) {
	if n.status == 0 {
		n.status = status
		if status == http.StatusSwitchingProtocols || n.Header().Get("Content-Type") == "text/event-stream" {
			n.opened()
		}
	}
	n.ResponseWriter.WriteHeader(status)
}

func (n *statusNote) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// allow lets pages of an origin, or of all (*), read answers. Browsers ask first, with a request that has no key.
func allow(origin string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Set("Access-Control-Allow-Origin", origin)
			header.Set("Access-Control-Expose-Headers", "X-Session-Id, Retry-After")
			header.Add("Vary", "Origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				header.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
				header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Agentuity-Auth-Api-Key, X-Agentuity-Orgid")
				header.Set("Access-Control-Allow-Private-Network", "true")
				w.WriteHeader(http.StatusNoContent)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// goodbyeTime is how long clients have to read that the Hub goes.
const goodbyeTime = 2 * time.Second

// sayGoodbye closes WebSockets with 1001 and ends streams of events, and waits until that is done.
func sayGoodbye(hub *codertest.Hub) {
	hub.Restart(time.Hour, codertest.Outage{})
	late := time.NewTimer(goodbyeTime)
	defer late.Stop()
	for hub.Streams() > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late.C:
			return
		}
	}
}
