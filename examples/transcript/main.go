// Transcript writes a session as one page: what was asked, thought, called and answered, the tasks, what it has cost, and
// how it ended.
//
//	go run ./examples/transcript -o session.html codesess_…
//	go run ./examples/transcript -format md codesess_… > session.md
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either, and without a session, it
// starts a Hub of its own in memory and writes the page of a session that is there.
//
// The page is HTML that loads nothing and runs nothing: its policy forbids everything but its own style sheet and the
// images in it. It can be opened from a file, printed, and sent to others. It has what was said, also secrets that were
// said: read it before you send it. Large arguments and results are cut in the middle; -full keeps them whole. -format md
// writes Markdown.
//
// With -o the page goes to a temporary file first, which only you can read, and gets its name when it is whole. Otherwise
// it goes to standard output. The status is 0 if the page is whole, 1 if it is not, 2 if the program was called wrongly,
// and 130 after Ctrl-C.
//
// How it works: ReplayEntries yields the conversation entry by entry, across lost connections, and each is written when it
// has come. So memory does not grow with the session. conversation.go makes what is shown of the entries, session.go of
// what is known besides, and texts.go makes texts of others fit to be shown. page.go, with page.html and style.css, writes
// HTML, markdown.go Markdown. markup.go reads the Markdown of answers, images.go says which images are shown, output.go has
// the file, and progress.go what is told meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/progress"
)

// The statuses that it ends with.
const (
	whole       = 0
	failed      = 1
	badUsage    = 2
	interrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	status := run(ctx, os.Args[1:], os.Stdout, &teller{Teller: progress.New("transcript", os.Stderr)})
	stop()
	os.Exit(status)
}

// settings are what the flags say.
type settings struct {
	format string
	file   string
	full   bool
}

const usage = `usage: transcript [-format html|md] [-o file] [-full] SESSION_ID

Writes a session as one page. Without AGENTUITY_SDK_KEY and AGENTUITY_CODER_URL,
leave SESSION_ID out: the page is that of a session on an embedded Hub.

`

// run writes a page to out, or to the file that the arguments name.
func run(ctx context.Context, args []string, out io.Writer, teller *teller) int {
	var s settings
	flags := flag.NewFlagSet("transcript", flag.ContinueOnError)
	flags.SetOutput(teller.Out)
	flags.Usage = func() {
		fmt.Fprint(teller.Out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.format, "format", "html", "what to write: `html` or md")
	flags.StringVar(&s.file, "o", "", "the `file` to write; what is there is replaced when the page is whole (default: standard output)")
	flags.BoolVar(&s.full, "full", false, "cut nothing, however large it is")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return whole
	case err != nil:
		return badUsage
	}
	client, id, stop, err := open(&s, flags.Args(), teller)
	if err != nil {
		teller.Say("%v", err)
		return badUsage
	}
	defer stop()
	err = deliver(ctx, client, id, &s, out, teller)
	switch {
	case err == nil:
		return whole
	case ctx.Err() != nil:
		teller.Say("interrupted")
		return interrupted
	case errors.Is(err, errBadFile):
		teller.Say("%v", err)
		return badUsage
	case errors.Is(err, coder.ErrSessionNotFound):
		teller.Say("the Hub has no session %s, or not for this key: %v", id, err)
		return failed
	}
	teller.Say("%v", err)
	return failed
}

// open checks the arguments, and returns the session that they name with a client of its Hub. An error means that the
// program was called wrongly.
func open(s *settings, args []string, teller *teller) (client *coder.Client, id string, stop func(), err error) {
	account := os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != ""
	switch {
	case s.format != "html" && s.format != "md":
		return nil, "", nil, fmt.Errorf("-format must be html or md, and not %q", s.format)
	case len(args) > 1:
		return nil, "", nil, fmt.Errorf("%d arguments, and one session at a time; flags come before it", len(args))
	case account && (len(args) == 0 || args[0] == ""):
		return nil, "", nil, errors.New("which session? name it with its id: transcript SESSION_ID")
	case !account && len(args) == 1:
		return nil, "", nil, errors.New("set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL to read a session of yours, " +
			"or leave SESSION_ID out for a sample")
	case account:
		if client, err = coder.NewClient(); err != nil {
			return nil, "", nil, err
		}
		return client, args[0], client.CloseIdleConnections, nil
	}
	hub := codertest.NewHub()
	id = sample(hub)
	if client, err = hub.NewClient(); err != nil {
		hub.Close()
		return nil, "", nil, err
	}
	teller.Say("no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: reading a sample session on an embedded Hub")
	return client, id, hub.Close, nil
}

// deliver writes the page to where it belongs.
func deliver(ctx context.Context, client *coder.Client, id string, s *settings, out io.Writer, teller *teller) error {
	if s.file == "" || s.file == "-" {
		return write(ctx, client, id, s, out, teller)
	}
	file, err := create(s.file)
	if err != nil {
		return err
	}
	defer file.discard()
	if err := write(ctx, client, id, s, file, teller); err != nil {
		return err
	}
	if err := file.keep(); err != nil {
		return err
	}
	teller.Say("wrote %s: %s", s.file, teller.counted())
	return nil
}
