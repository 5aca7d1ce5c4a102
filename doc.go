// Package coder is the Go client of the Agentuity Coder Hub: give a remote coding agent a task, watch it, talk to it, know
// when it is done and what came of it, and manage the workspaces, skills, custom agents, GitHub repositories and users around
// it.
//
// # Start
//
// A [Client] is made once and shared; it is safe for concurrent use. A session is a coding agent in a sandbox of its own, which
// the Hub keeps, wakes and lets others attach to.
//
//	client, err := coder.NewClient() // key from AGENTUITY_SDK_KEY
//	if err != nil {
//		return err
//	}
//	result, err := client.RunSession(ctx, "ticket-7", coder.CreateSessionRequest{
//		Task: "Add a /healthz endpoint that answers 200",
//	}, nil)
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Outcome.Succeeded(), result.Answer)
//
// The Hub's URL comes from [WithURL], else from AGENTUITY_CODER_URL, else it is discovered with the
// first call. Every method takes a context, which bounds all of the call: attempts, waits between
// them, and reading the answer. Optional parameters are a pointer that may be nil. Optional members that have to tell "not
// set" from zero are pointers too, for which Go 1.26 has new: Label: new("x").
//
// # Tasks
//
// [Client.RunSession] goes from a task to its result in one call, which may take hours, and may be made again by another
// process: its key names the job, and finds the session again. [Client.EnsureSession] is the first half of it, for
// programs that start a job and leave. [Client.CreateSession] has no key: after an error that matches [ErrOutcomeUnknown]
// the session may exist.
//
// [Client.WaitForSession] waits until a session needs no more patience and says why, [Client.CheckSession] says how it
// is doing now. What to do about each [OutcomeKind]:
//
//	kind         what it means                                    what to do
//	----------   ----------------------------------------------   ----------------------------------------
//	turn_ended   the agent did what it was asked                  read the answer; prompt again, or archive.
//	                                                              Truncated: the answer is cut
//	completed    it, or its loop, did what it was to do           read the answer
//	needs_input  it has asked something, or waits for a prompt    Attach and RespondUI, or Ask
//	             and nothing says how the last one ended
//	failed       it, its loop or its last prompt failed           read ErrorMessage and Evidence; prompt again
//	aborted      somebody aborted the last prompt                 prompt again, or archive
//	limited      it went beyond one of its Limits, and was        read the answer, or prompt it with other
//	             aborted; only from RunSession                    limits
//	blocked      its loop cannot go on by itself                  read Loop; help, or archive
//	cancelled    somebody cancelled its loop                      nothing
//	archived     it is over; Finished says how its last prompt    read the answer
//	             had ended
//	deleted      it no longer exists                              nothing
//	paused       it sleeps                                        ResumeSession or Attach wakes it
//	stalled      nothing has changed for StallTimeout             read Evidence: no model, a lead that hangs, a
//	                                                              tool that takes longer
//	working      none of these yet; only from CheckSession        look again later
//
// [SessionOutcome].Succeeded is for those who only want to know that. An outcome does not have the answer: RunSession
// returns it, and it is the last entry of type [EntryMessage] that [Client.ReplayEntries] yields.
//
// This is concluded from what the Hub tells of the session and from the events of its agent, which never say "done":
// a model that fails is called again, a conversation that is full is compacted first, and one run may answer several
// prompts. The rules come from recordings of the real agent, Pi 0.74.2 with Agentuity's extension 2.0.21 and Pi 1.6.0,
// in a terminal and in RPC mode, and hold for each of them. What a hosted Hub stores of the events, and which agent its
// sandboxes run, is not known here: an outcome that rests on less says so in Evidence. The program
// examples/doctor finds out what of it is true of your Hub.
//
// # Talking to an agent
//
// [Client.Attach] wakes a session if it sleeps and returns a [HubConn], a WebSocket that connects again by itself.
// [HubConn.Ask] gives the agent a prompt and returns the answer to it, whoever else talks to the session, and whatever
// happens to the connection:
//
//	answer, err := conn.Ask(ctx, "Now add a test", &coder.AskOptions{
//		OnText: func(delta string) { fmt.Print(delta) },
//	})
//
// While it works, the agent may ask something: OnQuestion of [AskOptions] answers, and without it Ask ends with
// [ErrNeedsInput]. [HubConn.Listen] is Ask without a prompt, for those who answer questions and show what happens.
// [HubConn.Submit] returns when the prompt is sent, with a [Receipt], for which [Client.Answer] finds the answer later, in
// another process too. [HubConn.Steer] tells an agent something while it works, [HubConn.FollowUp] when it is done, and
// [HubConn.Abort] stops it.
//
// # Events
//
// There are four ways to learn what happens in a session:
//
//	way                                   what it is for                            what it may miss
//	-----------------------------------   ---------------------------------------   ------------------------------
//	WatchEvents                           programs that must see every event once,  nothing; it is some seconds late
//	                                      also across restarts of their own
//	StreamEvents                          pages and logs: what is going on now      what happens while it connects
//	                                                                                again
//	Messages, Ask and Listen of HubConn   those who take part: text as it is        the same
//	                                      written, and questions
//	AllEventHistory, ReplayEntries        what was: events, and the transcript      what is yet to come
//
// A [Conversation] makes what was said of any of them, whole, also across lost connections. Events of the agent have types of their
// own, see [AgentEvent].
//
// # Errors
//
// Match sentinels, such as [ErrSessionNotFound], with [errors.Is], and take the types apart with
// [errors.As]. Calls return four types:
//
//   - [*ValidationError]: an argument is invalid. Nothing was sent.
//   - [*APIError]: the Hub, or a gateway before it, answered with a status other than 2xx.
//   - [*RequestError]: no answer came. Its Sent says whether the request left.
//   - [*ResponseError]: the answer was 2xx but cannot be used.
//
// Six more say how far something longer came, and most wrap one of those: [*WaitError] of
// [Client.WaitForSession], [*RunError] of [Client.RunSession], [*ReplayError] of [Client.ReplayEntries], [*HistoryGapError] of
// [Client.WatchEvents], [*HubConnError] of everything that a [HubConn] does, and [*AgentError] of [HubConn.Ask] and [Client.Answer], with what
// the agent said.
//
// [ErrOutcomeUnknown] is matched by any of them but a ValidationError: a call that is not idempotent,
// such as CreateSession, may have taken effect. Look before you call again.
//
// If the context ended the call, the error matches [context.Canceled] or
// [context.DeadlineExceeded] as well.
//
// [IsTransient] is for job queues and loops: may the same call be made again, safely, and may it then work?
//
//	error                                                        IsTransient
//	----------------------------------------------------------   -------------------------------------------------
//	it was never sent; 429; 409 with a rate limit; 408; 425      true
//	5xx but 501; connection lost; answer cut or silent           true, but false where it is ErrOutcomeUnknown
//	ErrOutcomeUnknown of EnsureSession and RunSession            true: they look before they create
//	a live connection that ended for one of these reasons,       true: connect again
//	ErrReconnectsExceeded among them
//	ErrPromptDropped                                             true
//	other 4xx; 501; 3xx; a bad certificate; a 2xx that cannot    false
//	be used; a connection refused or closed for good
//	ValidationError; other AgentErrors; the end of the context;  false
//	ErrConnClosed; errors of other packages
//
// # Retries
//
// Idempotent calls (reads, updates, deletes, archive, resume, refresh, validate) are repeated more
// freely than the others (creates, saving a skill, publishing, a POST with [Client.Do]):
//
//	what happened                                           idempotent              creates
//	-----------------------------------------------------   ---------------------   -------------------
//	it was never sent                                       repeated (window)       repeated (window)
//	429; 409 with a rate-limit header                       repeated                repeated
//	502; 503; 504; 520 to 524; 530                          repeated (window)       ErrOutcomeUnknown
//	408; 425                                                repeated                an error
//	connection lost or timed out after sending; the answer  repeated                ErrOutcomeUnknown
//	is cut, or silent for 60 s
//	500 and other 5xx                                       an error                ErrOutcomeUnknown
//	2xx that cannot be used                                 an error                ErrOutcomeUnknown
//	501, 4xx, 3xx                                           an error                an error
//	401, where [WithCredential] then gives another key      repeated once           repeated once
//
// "Window" means for [RetryPolicy].UnavailableWindow, 30 s: a Hub that restarts is away for 5 to 15
// seconds. Everything else, and a host name that does not exist, is tried MaxAttempts times, 4. A
// bad certificate or the wrong protocol on a port is tried once. Waits double from 100 ms to 5 s,
// with jitter. Retry-After, X-RateLimit-Reset and X-RateLimit-Retry-After are honoured up to 60 s, and
// dates are measured by the clock of the answer. A longer wait, or one beyond the window or beyond the
// deadline of the context, is not begun: the call ends at once with [APIError].RetryAfter set. Waits of
// our own are cut so that a last attempt begins 100 ms before the deadline. The end of the context ends
// every wait at once.
//
// After a 429 no call of the client is made until the time has come that the Hub has asked this one to wait for, unless it
// is longer than MaxRetryAfter, or than the call has; then those that have waited come one after the other, at most as many in a
// second as [WithConnectRate] allows, but for those whose context would end before their turn. New live
// connections wait as well, unless the context would end meanwhile. With MaxAttempts 1 each call is on its own.
//
// A body that brings less than 1 KiB in 60 s is a lost connection. The body of an error is read for 5 s.
//
// A request is known never to have been sent if a connection was asked for and none was had, if
// nothing of its body was read, or if an HTTP/2 peer says that it did not process the stream (a GOAWAY
// below it). A body that was written in part only, over HTTP/1.1, has no effect either, and is sent again
// up to MaxAttempts times.
//
// A 503 is no refusal, whatever its body and headers: gateways answer it, with a Retry-After and in JSON,
// also when the Hub had read the request and only the answer was lost. Nor is the REFUSED_STREAM of
// HTTP/2, which HAProxy answers in the same case.
//
// A DELETE that finds nothing, or an archive that finds the session archived, after an attempt
// whose answer was lost, has worked.
//
// # Limits
//
// What a peer may send is bounded. An answer, a message of a HubConn and an entry of ReplayEntries are at most as
// large as [WithMaxResponseSize] says, 256 MiB by default, and an event of a stream 64 MiB; what is larger is an error that matches
// [ErrResponseTooLarge]. Decoded, an answer takes at most 20 times its size and 64 MB. Iterators hold one page, entry or event at a
// time. Of messages of a HubConn that nobody takes 64 MiB wait; then it reads no further.
//
// [Limits] bound what an agent may spend on a session or a prompt: dollars, tokens, turns, calls of tools.
//
// A client opens at most as many live connections in a second as [WithConnectRate] says, 200 by default, and after a 429 it
// holds its calls back, see Retries. It does not limit how many calls run at once.
//
// # Testing
//
// Package codertest has a Hub for your tests, with an agent that behaves as the real one was recorded to, and with faults to
// inject: lost answers, restarts, overloaded models. Over its network in memory a test runs in a [testing/synctest] bubble, where
// waits take no time.
//
// # Compatibility
//
// The two newest releases of Go are supported. Before v1 a minor version may change the API, and CHANGELOG.md lists what it
// changes; a patch version does not. The version goes to the Hub in the header User-Agent, see [Version].
//
// A Hub may be older or newer than this package. What it sends that is not known here is kept: members in Extra, values of
// enumerations as they came, messages and events as *UnknownMessage, [*UnknownAgentEvent] and the like. What it takes that is not
// known here can be sent: requests have an Extra, and [Client.Do] makes calls that have no method.
//
// Decoding is lenient about what does not matter (a member of the wrong kind is left at its zero
// value, unknown members are kept in Extra, unknown values of enumerations are kept) and strict
// about what does: an answer that is not JSON, or lacks what identifies the thing, is an error,
// never a zero value.
//
// Free JSON is what is in an any or a map[string]any: metadata, arguments and parameters of tools, details of
// errors. A number is a float64 there, unless that would change it. A whole number that a float64 does not
// hold, such as 9007199254740993, or would be written with other digits, such as 9223372036854775808, is a
// [encoding/json.Number] with its digits; so is a number beyond the range of a float64, such as 1e400. A
// json.Number in a request is sent to the last digit; one that is no number is a ValidationError. A float64
// is sent in the shortest form that is read as the same float64: beyond 2^53 take int64 or json.Number for
// what has to be exact.
//
// # JSON
//
// Requests, answers and messages can be stored with encoding/json and with encoding/json/v2, whose
// mirror before Go 1.27 is github.com/go-json-experiment/json. What one of them wrote on one version
// of Go, each of them reads on another into an equal value, with the members in Extra. A nil list
// and an empty one count as equal, except in members with omitzero: there nil is left out, and [] is
// read as []. So an update that is read from a file clears and keeps what it did when it was written.
//
// The rules are those of the package that is called: whether names match in any case, what null
// does to a value that is already set, whether invalid UTF-8 is an error, whether a nil list is
// written as null or []. A number in free JSON is read as a float64 whatever its size. A name in Extra that differs from that of a field only in case is read into
// the field by encoding/json.
//
// Before Go 1.27 encoding/json does not know the tag option embed, which Extra has. Types with an
// Extra have JSON methods there. These follow the rules of encoding/json, whichever package calls
// them; options of a json.Decoder, such as UseNumber, do not reach them; and a member of the wrong
// kind is left at its zero value where encoding/json would return an error.
//
// Extra would be lost with GOEXPERIMENT=jsonv2 before Go 1.27, and with GOEXPERIMENT=nojsonv2 since.
// The package does not compile with these.
package coder
