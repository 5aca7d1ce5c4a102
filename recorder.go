package coder

import (
	"fmt"
	"io"
	"net/http"

	"github.com/agentuity/coder-go/internal/cassette"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

// Recorder records the traffic between clients and a Hub. Make one with [NewRecorder].
type Recorder struct {
	// It is behind functions, so that printing a Recorder cannot reach what waits to be written.
	around func(quote.Redactor) func(http.RoundTripper) http.RoundTripper
	finish func() error
}

// RecorderOptions says what a Recorder writes down.
type RecorderOptions struct {
	// OmitTexts takes the texts of sessions out: each character except blanks is replaced by an x, so that texts keep
	// their shape. Names of types, statuses, tools and the like, ids and times remain, and so do the names of
	// members. Two texts of one shape, such as "ab cd" and "xy zw", cannot be told apart then: when the recording is
	// played back, prompts that look alike get their answers in the order in which they were recorded. Default: texts
	// are kept.
	OmitTexts bool
	// MaxBody is the largest number of bytes that are kept of a body, a message or an event. The rest is left
	// out, and counted. What is kept is held in memory until the body has been read. Default: 8 MiB.
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
// A recording is JSON, one line for each thing that happened. Member "t" is the time in milliseconds since the recording
// began, "n" is the number of the exchange, and "is" is what happened: request, answer, body (whole, or one event of a
// stream), sent and received (messages of a WebSocket), close, end.
//
// Recording changes no byte that is sent, makes no call fail, and does not wait for the writer: what a slow
// writer has not taken is held in memory, and when that is more than 64 MiB, the recording ends.
//
// # What is taken out
//
// These rules cover what is known to be secret. Look through a recording before you send it to others.
//
//   - The keys of the clients, as they are and in every form in which a Hub or a proxy repeats them: escaped, quoted, cut.
//   - The values of all headers except those that are known to hold nothing secret, such as Content-Type, Retry-After,
//     Server.
//   - In URLs everywhere: the user and the password, and the values of parameters that are credentials.
//   - In JSON, also in JSON within a text: the values of members whose names end in token, secret, password, passphrase,
//     apiKey, accessKey, privateKey, credential, authorization, cookie, signature or jwt, in any spelling; the values,
//     but not the names, of everything below env and environment; everything except the host in members such as
//     streamUrl, sandboxUrl, sessionUrl and downloadUrl; reconnectState.
//   - Everywhere, what has the shape of a credential: agc_…, ghp_…, glpat-…, sk-…, xoxb-…, AKIA…, a JWT, a private
//     key, and what follows Bearer and Basic.
//   - In texts that hold JSON, whole or in part, or name=value: the values of the same names.
//   - In JSON that is broken, or longer than MaxBody: everything from that point on.
//   - In an event with a secret that is spread over several lines: the whole content.
//
// # What is not taken out
//
//   - The texts of sessions, unless OmitTexts is set: tasks, prompts, answers, thoughts, arguments and results of tools, files and
//     what the agent has read in them, labels, tags, metadata, names of skills, error messages. A credential of
//     another shape in such a text remains.
//   - Ids of sessions, users, organizations and requests, names and e-mail addresses of users, URLs and branches of repositories,
//     the host of the Hub, the User-Agent, times.
//   - A key of fewer than 4 bytes, and a credential that arrives in pieces, such as letter by letter, or with its name and
//     its value apart: {"name":"Authorization","value":"…"}. A key in another encoding, such as base64, or in other letters.
//   - What a binary body hides by its encoding.
//
// Errors: a [*ValidationError] for a nil writer or a negative MaxBody; the error of the writer for the first
// line.
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
// Errors: the first error of the writer; an error that says that the writer was too slow. In both cases what was
// written before can be played back.
func (r *Recorder) Close() error {
	if err := r.finish(); err != nil {
		return fmt.Errorf("coder: Recorder: %w", err)
	}
	return nil
}
