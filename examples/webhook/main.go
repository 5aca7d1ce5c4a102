// Webhook starts an agent for each comment on an issue or a pull request that asks for one, and posts what came of it as a comment.
//
//	go -C examples/webhook run .                                        # a demonstration, which ends
//	go -C examples/webhook run . -addr 127.0.0.1:8080 -db webhook.db
//	go -C examples/webhook run . -db webhook.db -list                   # what there is, and how far it is
//
// On GitHub an admin adds the webhook, under Settings, Webhooks, of a repository or an organization: the payload URL
// https://HOST/webhook, the content type application/json, a secret, such as "openssl rand -hex 32" prints, and of the events
// "Issue comments" alone. HOST is a proxy or a tunnel with a certificate, which passes /webhook on as it is and limits the
// connections of strangers; GET /healthz is for its checks. "Recent Deliveries" of the webhook shows what each was answered, and
// why nothing happens. What fails there, such as while this program is down, GitHub does not deliver again: "Redeliver" does.
//
// A comment that begins with "/coder TASK" starts a session, if its author is an owner, a member or a collaborator; those of bots
// never do. GitHub tells of a member of an organization only if the membership is public, and collaborators need not be allowed to
// write. However often the comment is delivered, and whenever the program is killed, there is one session and one answer. What is
// edited or deleted later changes nothing.
//
// WEBHOOK_SECRET is the secret of the webhook, WEBHOOK_TOKEN a token that may write comments: a fine-grained one with issues and
// pull requests, read and write, or a classic one with the scope repo. Answers are by its account; best it is one of its own, which
// no other program obeys. AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names the Hub. Without either it starts a Hub and a forge of its
// own in memory, and delivers a comment to itself; with -addr it serves on after that, with WEBHOOK_SECRET if it is set.
//
// The first Ctrl-C or SIGTERM stops it, and sessions go on at the Hub: the next start finds them and does the rest. The second
// ends it at once. It ends with status 0 after -list and after the demonstration, 1 if something does not work, 2 if it was
// called wrongly, and 130 after Ctrl-C.
//
// How it works: receive.go checks deliveries, event.go makes jobs of them, and store.go keeps these in SQLite before the forge
// gets its answer. work.go does the jobs: a session whose key names the comment, then the answer. forge.go looks for an earlier
// answer by its hidden marker, and posts one; answer.go has its text, which notifies nobody. list.go prints the table. demo.go
// and memory_forge.go are what is there without an account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

func main() {
	p := &program{out: os.Stdout, errs: os.Stderr, interrupts: func(ctx context.Context) (context.Context, context.CancelFunc) {
		return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is what webhook has to do with the world.
type program struct {
	out, errs io.Writer // what was asked for; everything else
	// interrupts ends a context with the first signal, until the function that it returns is called. Nil: nobody interrupts.
	interrupts func(context.Context) (context.Context, context.CancelFunc)
	said       chan struct{} // closed when it is said that it stops
}

// settings are what the flags say.
type settings struct {
	addr, db, forge, workspace string
	command, from              string
	atOnce                     int
	stall                      time.Duration
	list, retry                bool
	level                      slog.Level // of what is logged
}

func (p *program) run(ctx context.Context, args []string) int {
	s, err := p.parse(args)
	if err == nil && s.list {
		err = p.list(ctx, s)
	}
	if err != nil || s.list {
		return p.status(err)
	}
	release := func() {}
	if p.interrupts != nil {
		ctx, release = p.interrupts(ctx)
		defer release()
	}
	p.said = make(chan struct{})
	context.AfterFunc(ctx, func() {
		release() // the next one ends the program as if it had never asked for signals
		fmt.Fprintln(p.errs, "webhook: stopping; once more ends it at once")
		close(p.said)
	})
	if !hasHub() {
		return p.demonstrate(ctx, s)
	}
	secret, token := os.Getenv("WEBHOOK_SECRET"), os.Getenv("WEBHOOK_TOKEN")
	switch {
	case strings.TrimSpace(secret) == "":
		return p.status(cli.Wrong(errors.New("set WEBHOOK_SECRET to the secret of the webhook")))
	case strings.TrimSpace(token) == "" || strings.ContainsFunc(token, unicode.IsSpace):
		return p.status(cli.Wrong(errors.New("set WEBHOOK_TOKEN to a token that may write comments, without blanks")))
	}
	client, err := coder.NewClient()
	if err != nil {
		return p.status(cli.Wrong(err))
	}
	defer client.CloseIdleConnections()
	service, err := p.start(ctx, s, client, secret, newForge(s.forge, token, nil))
	if err != nil {
		return p.status(err)
	}
	return p.serve(ctx, service)
}

// status says what it ends with, and returns its status.
func (p *program) status(err error) int { return cli.Status(p.errs, "webhook", err, false) }

// parse reads the flags.
func (p *program) parse(args []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("webhook", flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", "", "the `host:port` to listen at for deliveries, which WEBHOOK_SECRET signs; with port 0 a free one (default 127.0.0.1:8080; in the demonstration a free one, until it is over)")
	flags.StringVar(&s.db, "db", "", "the database, a `file` of SQLite (default webhook.db; in the demonstration one that is deleted afterwards)")
	flags.StringVar(&s.forge, "forge", defaultForge, "the base `URL` of the API of the forge, which is sent WEBHOOK_TOKEN")
	flags.StringVar(&s.command, "command", "/coder", "the `word` that a comment begins with which starts an agent")
	flags.StringVar(&s.from, "from", "OWNER,MEMBER,COLLABORATOR", "whose comments start agents: `associations` of authors, as GitHub calls them, separated by commas")
	flags.StringVar(&s.workspace, "workspace", "", "the `id` of the workspace that sessions start from")
	flags.IntVar(&s.atOnce, "at-once", 4, "`how many` sessions to run at a time")
	flags.DurationVar(&s.stall, "stall", 10*time.Minute, "give up a session in which nothing has changed for so `long`")
	flags.BoolVar(&s.retry, "retry", false, "post again the answers that were given up")
	flags.BoolVar(&s.list, "list", false, "print the table of what is in the database, and end")
	if err := cli.Parse(flags, args, p.out); err != nil {
		return nil, err
	}
	return s, cli.Wrong(s.check())
}

// check checks what the flags say.
func (s *settings) check() (err error) {
	if s.forge, err = checkForge(s.forge); err != nil {
		return fmt.Errorf("-forge: %w", err)
	}
	switch {
	case s.atOnce < 1:
		return errors.New("-at-once: must be at least 1")
	case s.stall <= 0:
		return errors.New("-stall: must be above 0")
	case s.command == "" || strings.ContainsFunc(s.command, unicode.IsSpace):
		return errors.New("-command: must be a word")
	case strings.HasPrefix(s.command, "<"):
		return errors.New("-command: must not begin as answers do")
	case strings.Trim(s.from, ", ") == "":
		return errors.New("-from: names nobody")
	case s.list && s.retry:
		return errors.New("-list and -retry: which?")
	case s.forge != defaultForge && !s.list && !hasHub():
		return errors.New("-forge: set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL as well: the demonstration has a forge of its own")
	}
	return nil
}

// hasHub reports whether the environment names a Hub, or a key of one.
func hasHub() bool {
	return os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != ""
}

func (p *program) list(ctx context.Context, s *settings) error {
	if s.db == "" {
		s.db = defaultDB
	}
	store, err := openStore(ctx, s.db, false)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s: which database? Name it with -db", s.db)
	}
	if err != nil {
		return err
	}
	jobs, err := store.all(ctx)
	if err == nil {
		err = printJobs(p.out, jobs)
	}
	return errors.Join(err, store.close())
}

const (
	defaultAddr  = "127.0.0.1:8080"
	defaultDB    = "webhook.db"
	defaultForge = "https://api.github.com"
)

// service is a receiver that listens, and a worker that has not begun.
type service struct {
	store    *store
	worker   *worker
	server   *http.Server
	listener net.Listener
}

// start opens the database and listens.
func (p *program) start(ctx context.Context, s *settings, client *coder.Client, secret string, forge *forge) (*service, error) {
	if s.addr == "" {
		s.addr = defaultAddr
	}
	if s.db == "" {
		s.db = defaultDB
	}
	store, err := openStore(ctx, s.db, true)
	if err != nil {
		return nil, err
	}
	if err := store.resume(ctx, s.retry); err != nil {
		return nil, errors.Join(err, store.close())
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen at %s: %w", s.addr, err), store.close())
	}
	log := slog.New(slog.NewTextHandler(p.errs, &slog.HandlerOptions{Level: s.level}))
	worker := &worker{
		client: client, forge: forge, store: store, atOnce: s.atOnce, stall: s.stall, log: log,
		woken: make(chan struct{}, 1), busy: make(map[int64]bool),
	}
	rules := &rules{secret: []byte(secret), forge: forge.base, command: s.command, workspace: s.workspace}
	for association := range strings.SplitSeq(s.from, ",") {
		rules.from = append(rules.from, strings.ToUpper(strings.TrimSpace(association)))
	}
	return &service{store: store, worker: worker, listener: listener, server: &http.Server{
		// GitHub gives up after 10 s, and what a slow sender has sent takes memory meanwhile.
		Handler: newReceiver(rules, store, log, worker.wake), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

// url is where the service takes deliveries.
func (s *service) url() string { return "http://" + s.listener.Addr().String() + "/webhook" }

// serve takes deliveries and does jobs until the context ends.
func (p *program) serve(ctx context.Context, s *service) int {
	if err := p.announce(ctx, s); err != nil {
		return p.end(ctx, s, err)
	}
	return p.end(ctx, s, s.work(ctx))
}

func (p *program) announce(ctx context.Context, s *service) error {
	unfinished, err := s.store.unfinished(ctx)
	if err == nil {
		fmt.Fprintf(p.errs, "webhook: listening at %s%s\n", s.url(), goesOn(unfinished))
	}
	return err
}

// end closes what start has opened, and says what is left to do if the context has ended. The error is what has failed before.
func (p *program) end(ctx context.Context, s *service, err error) (status int) {
	if ctx.Err() != nil {
		<-p.said
		unfinished, failed := s.store.unfinished(context.WithoutCancel(ctx))
		err = errors.Join(err, failed)
		fmt.Fprintf(p.errs, "webhook: interrupted; %s\n", leftOver(unfinished))
		status = cli.Interrupted
	}
	_ = s.listener.Close() // it may be closed already
	return max(status, p.status(errors.Join(err, s.store.close())))
}

// work returns when the context has ended and nothing is under way any more. The error is why the server ended by itself.
func (s *service) work(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		err := s.server.Serve(s.listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		failed <- err
		cancel()
	}()
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.server.Shutdown(grace) != nil {
			_ = s.server.Close() // a sender that does not come to an end delivers again
		}
	})
	s.worker.run(ctx)
	<-stopped
	return <-failed
}

func goesOn(unfinished int) string {
	switch unfinished {
	case 0:
		return ""
	case 1:
		return ", and going on with 1 comment that has no answer yet"
	}
	return fmt.Sprintf(", and going on with %d comments that have no answer yet", unfinished)
}

func leftOver(unfinished int) string {
	switch unfinished {
	case 0:
		return "nothing is left to do"
	case 1:
		return "1 comment has no answer yet. Its session goes on: the next start does the rest"
	}
	return fmt.Sprintf("%d comments have no answer yet. Their sessions go on: the next start does the rest", unfinished)
}
