package coder

import (
	"fmt"
	"io"
	"net/http"

	"github.com/agentuity/coder-go/internal/cassette"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

// Recorder writes down what clients and a Hub say to each other. Make one with [NewRecorder].
type Recorder struct {
	// It is behind functions, so that printing a Recorder cannot reach what waits to be written.
	around func(quote.Redactor) func(http.RoundTripper) http.RoundTripper
	finish func() error
}

// RecorderOptions says what a Recorder writes down.
type RecorderOptions struct {
	// OmitTexts takes the texts of sessions out: an x stands in the place of each character but blanks, so that
	// what is made of them stays the same. Names of types, statuses, tools and the like, ids and times remain, and
	// so do the names of members. Two texts of one shape, such as "ab cd" and "xy zw", cannot be told apart then: who
	// plays the recording gets the answers to prompts that look alike in the order in which they were recorded.
	// Default: texts are kept.
	OmitTexts bool
	// MaxBody is how much is kept of a body, of a message or of an event, in bytes. What follows is left out, and
	// counted. It is held in memory until the body has been read. Default: 8 MiB.
	MaxBody int64
}

// NewRecorder returns a Recorder that writes to w, usually a file. Clients that are made with [WithRecorder] are
// recorded from then on, until [Recorder.Close]: each attempt of each call, streams of events, WebSockets, discovery,
// and what went wrong. Package codertest plays a recording back: codertest.Replay. Options may be nil.
//
//	rec, err := coder.NewRecorder(file, nil)
//	…
//	client, err := coder.NewClient(coder.WithRecorder(rec))
//	…
//	err = rec.Close()
//
// A recording is JSON, a line for each thing that happened: t is the milliseconds since it began, n the number of the
// exchange, and is says what happened: request, answer, body (whole, or one event of a stream), sent and received (messages of a
// WebSocket), close, end.
//
// Recording changes no byte that is sent, makes no call fail, and waits for no writer: what a slow one has not
// taken is held in memory, and when that is more than 64 MiB, the recording ends there.
//
// # What is taken out
//
// These rules are about what is known to be secret. Whoever sends a recording to others looks through it first.
//
//   - The keys of the clients, as they are and in every form in which a Hub or a proxy repeats them: escaped, quoted, cut.
//   - The values of all headers but those that are known to hold nothing secret, such as Content-Type, Retry-After, Server.
//   - In URLs, wherever they stand: the user and the password, and the values of parameters that are credentials.
//   - In JSON, also in JSON within a text: the values of members whose names end in token, secret, password,
//     passphrase, apiKey, accessKey, privateKey, credential, authorization, cookie, signature or jwt, in any spelling;
//     the values, and not the names, of all that is below env and environment; of members such as streamUrl, sandboxUrl,
//     sessionUrl and downloadUrl all but the host; reconnectState.
//   - Wherever it stands, what has the shape of a credential: agc_…, ghp_…, glpat-…, sk-…, xoxb-…, AKIA…, a JWT, a
//     private key, and what follows Bearer and Basic.
//   - In texts, what stands there as JSON, whole or in part, and as name=value: the values of the same names.
//   - Of JSON that is broken, or longer than MaxBody, everything from there on.
//   - Of an event of which a secret is in more than one line, all that it says.
//
// # What is not taken out
//
//   - The texts of sessions, unless OmitTexts is set: tasks, prompts, answers, thoughts, arguments and results of tools, files and
//     what the agent has read in them, labels, tags, metadata, names of skills, error messages. A credential of
//     another shape in such a text remains.
//   - Ids of sessions, users, organizations and requests, names and e-mail addresses of users, URLs and branches of repositories,
//     the host of the Hub, the User-Agent, times.
//   - A key of fewer than 4 bytes, and a credential that arrives in pieces, such as letter by letter, or whose name and value
//     do: {"name":"Authorization","value":"…"}. A key in another encoding, such as base64, or in other letters.
//   - What a binary body hides by its encoding.
//
// Errors: a [*ValidationError] for a nil writer or a negative MaxBody; that of the writer for the first line.
func NewRecorder(w io.Writer, options *RecorderOptions) (*Recorder, error) {
	if options == nil {
		options = new(RecorderOptions)
	}
	switch {
	case w == nil:
		return nil, invalid("NewRecorder", "w", "must not be nil")
	case options.MaxBody < 0:
		return nil, invalid("NewRecorder", "MaxBody", "must not be negative")
	}
	r, err := cassette.NewRecorder(w, "agentuity-coder-go/"+Version, options.MaxBody, options.OmitTexts)
	if err != nil {
		return nil, fmt.Errorf("coder: NewRecorder: %w", err)
	}
	return &Recorder{
		around: func(secret quote.Redactor) func(http.RoundTripper) http.RoundTripper {
			r.Keep(secret)
			return func(base http.RoundTripper) http.RoundTripper { return r.Around(base, transport.BodyOf) }
		},
		finish: r.Close,
	}, nil
}

// Close ends the recording, and waits until all of it is written. The writer is the caller's to close. Clients go on
// without it. Close may be called again.
//
// Errors: the first that the writer has returned; one that says that the writer was too slow. In both cases what
// has been written before can be played back.
func (r *Recorder) Close() error {
	if err := r.finish(); err != nil {
		return fmt.Errorf("coder: Recorder: %w", err)
	}
	return nil
}
