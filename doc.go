// Package coder is the Go client of the Agentuity Coder Hub: give a remote coding agent a task, watch it, talk to it,
// know when it is done and with which result, and manage the workspaces, skills, custom agents, GitHub repositories and
// users around it.
//
// # Start
//
// Make one [Client] and share it: it is safe for concurrent use. A session is a coding agent in a sandbox of its own.
// The Hub keeps the session, wakes it, and lets others attach to it. The lead is the agent that drives a session, a
// controller sends it prompts, and an observer watches. A hydration is the conversation so far, which the Hub sends to
// a new live connection.
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
// The Hub's URL comes from [WithURL], else from AGENTUITY_CODER_URL; otherwise the first call discovers it. Every
// method takes a context, which bounds the whole call: attempts, waits between them, and reading the response. Optional
// parameters are a pointer that may be nil. Optional members that must distinguish "not set" from zero are pointers
// too, for which Go 1.26 has new: Label: new("x").
//
// # Tasks
//
// [Client.RunSession] gives an agent a task and returns its result. The call may take hours, and another process may
// make it again: the key names the job, and finds the session again. [Client.EnsureSession] is the first half of
// RunSession, for programs that start a job and do not wait for it. [Client.CreateSession] has no key: after an error
// that matches [ErrOutcomeUnknown] the session may exist.
//
// [Client.WaitForSession] waits until there is nothing left to wait for, and says why. [Client.CheckSession] says how
// the session is doing now. What to do about each [OutcomeKind]:
//
//	kind         what it means                                    what to do
//	----------   ----------------------------------------------   ----------------------------------------
//	turn_ended   the agent did what it was asked                  read the answer; prompt again, or archive.
//	                                                              Truncated: the answer is cut
//	completed    the session, or its loop, has done its task      read the answer
//	needs_input  the agent has asked something; or it waits for   read Question; Attach and RespondUI, or Ask
//	             a prompt, and nothing says how the last ended
//	failed       the session, its loop or its last prompt failed  read ErrorMessage and Evidence; prompt again
//	aborted      somebody aborted the last prompt                 prompt again, or archive
//	limited      the agent went beyond one of its Limits and was  read the answer, or prompt again with other
//	             aborted; only from RunSession                    limits
//	blocked      the loop cannot go on by itself                  read Loop; help, or archive
//	cancelled    somebody cancelled the loop                      nothing
//	archived     the session is over; Finished says how its last  read the answer
//	             prompt had ended
//	deleted      the session no longer exists                     nothing
//	paused       the session sleeps                               ResumeSession or Attach wakes it
//	stalled      nothing has changed for StallTimeout             read Evidence: no model, a lead that hangs, a
//	                                                              tool that takes longer
//	working      none of these yet; only from CheckSession        look again later
//
// [SessionOutcome.Succeeded] reports whether the session did what it was asked. An outcome does not hold the answer:
// RunSession and [Client.LastAnswer] return it.
//
// Outcomes are concluded from what the Hub reports about the session and from the events of its agent. No event says
// "done": after a failure the agent calls the model again, it compacts a full conversation first, and one run may
// answer several prompts. The rules come from recordings of the real agent, and hold for each of them: Pi 0.74.2 with
// Agentuity's extension 2.0.21, and Pi 1.6.0, in a terminal and in RPC mode. It is not known which events a hosted Hub
// stores, and which agent its sandboxes run: an outcome that rests on fewer events says so in Evidence. The program
// examples/doctor finds out what holds for your Hub.
//
// # Talking to an agent
//
// [Client.Attach] wakes a session if it sleeps and returns a [HubConn]: a WebSocket connection that reconnects by
// itself. [HubConn.Ask] gives the agent a prompt and returns the answer to that prompt, whoever else talks to the
// session, and whatever happens to the connection:
//
//	answer, err := conn.Ask(ctx, "Now add a test", &coder.AskOptions{
//		OnText: func(delta string) { fmt.Print(delta) },
//	})
//
// While it works, the agent may ask something. The function OnQuestion of [AskOptions] answers; without it Ask ends
// with [ErrNeedsInput]. [HubConn.Listen] is Ask without a prompt, for programs that answer questions and show what
// happens. [HubConn.Submit] returns when the prompt is sent, with a [Receipt]. With that, [Client.Answer] finds the
// answer later, in another process too. [HubConn.Steer] tells an agent something while it works, [HubConn.FollowUp]
// when it is done, and [HubConn.Abort] stops it.
//
// # Events
//
// There are four ways to learn what happens in a session:
//
//	way                                   what it is for                            what it may miss
//	-----------------------------------   ---------------------------------------   ------------------------------
//	WatchEvents                           programs that must see every event once,  nothing; it is some seconds late
//	                                      also across their own restarts
//	StreamEvents                          pages and logs: what is going on now      what happens while it reconnects
//	Messages, Ask and Listen of HubConn   programs that take part: text while it    the same
//	                                      is written, and questions
//	AllEventHistory, ReplayEntries        the past: events, and the transcript      what happens later
//
// A [Conversation] puts the whole conversation together from the messages or events of any of them, also across lost
// connections. Events of the agent have types of their own: see [AgentEvent].
//
// # Methods
//
// The methods of [Client] by what they are for:
//
//   - Give a task: [Client.RunSession], [Client.EnsureSession], [Client.CreateSession], [Client.WaitForSession],
//     [Client.CheckSession], [Client.Answer]
//   - Look at sessions: [Client.GetSession], [Client.ListSessions], [Client.AllSessions],
//     [Client.ListConnectableSessions], [Client.AllConnectableSessions], [Client.ListParticipants],
//     [Client.GetLoopState], [Client.SessionTodos]
//   - Read what was said: [Client.LastAnswer], [Client.ReplayEntries], [Client.GetReplay], [Client.AllEventHistory],
//     [Client.ListEventHistory]
//   - Watch live: [Client.WatchEvents], [Client.StreamEvents]
//   - Take part: [Client.Attach], [Client.Connect], [Client.ConnectNew], [Client.PrepareSessionForRemoteAttach]
//   - Change sessions: [Client.UpdateSession], [Client.ArchiveSession], [Client.ResumeSession], [Client.DeleteSession]
//   - Workspaces: [Client.ListWorkspaces], [Client.GetWorkspace], [Client.CreateWorkspace], [Client.UpdateWorkspace],
//     [Client.DeleteWorkspace], [Client.RefreshWorkspaceSnapshot], [Client.ValidateWorkspaceDependencies]
//   - Skills: [Client.ListSavedSkills], [Client.SaveSkill], [Client.CreateCustomSkill], [Client.DeleteSavedSkill],
//     [Client.ListSkillBuckets], [Client.CreateSkillBucket], [Client.DeleteSkillBucket]
//   - Custom agents: [Client.ListCustomAgents], [Client.GetCustomAgent], [Client.CreateCustomAgent],
//     [Client.UpdateCustomAgent], [Client.PublishCustomAgent], [Client.ArchiveCustomAgent],
//     [Client.ListCustomAgentVersions], [Client.CreateAgentBuilderSession]
//   - GitHub and users: [Client.ListGitHubAccounts], [Client.ListGitHubRepos], [Client.ListUsers], [Client.AllUsers]
//   - What the agent's terminal program asks: [Client.HubInit], [Client.HubSkills]
//   - Everything else: [Client.Do], [Client.URL], [Client.CloseIdleConnections]
//
// Those of [HubConn]:
//
//   - Prompt: [HubConn.Ask], [HubConn.Submit], [HubConn.Prompt], [HubConn.Steer], [HubConn.FollowUp], [HubConn.Abort],
//     [HubConn.RespondUI], [HubConn.Compact]
//   - Listen: [HubConn.Listen], [HubConn.Messages], [HubConn.DiscardMessages]
//   - Ask for the state: [HubConn.GetState], [HubConn.GetMessages], [HubConn.Init], [HubConn.State],
//     [HubConn.SessionID]
//   - Any command: [HubConn.Send], [HubConn.SendAndWait]
//   - End: [HubConn.Close]
//
// # Errors
//
// Match sentinels, such as [ErrSessionNotFound], with [errors.Is], and get at the types with [errors.As]. Calls return
// four types:
//
//   - [*ValidationError]: an argument is invalid. Nothing was sent.
//   - [*APIError]: the Hub, or a gateway in front of it, responded with a status other than 2xx.
//   - [*RequestError]: there was no response. Its Sent says whether the request left.
//   - [*ResponseError]: the response was 2xx but cannot be used.
//
// Six more types belong to longer operations. They say how far the operation came, and most wrap one of the four:
// [*WaitError] of [Client.WaitForSession], [*RunError] of [Client.RunSession], [*ReplayError] of
// [Client.ReplayEntries], [*HistoryGapError] of [Client.WatchEvents], [*HubConnError] of everything that a [HubConn]
// does, and [*AgentError] of [HubConn.Ask] and [Client.Answer], with what the agent said.
//
// Any of these errors except a ValidationError may match [ErrOutcomeUnknown]: a call that is not idempotent, such as
// CreateSession, may have taken effect. Look before you call again.
//
// If the context ended the call, the error matches [context.Canceled] or [context.DeadlineExceeded] as well.
//
// [IsTransient] is for job queues and loops. It reports whether the same call may be made again safely, and may then
// work:
//
//	error                                                        IsTransient
//	----------------------------------------------------------   -------------------------------------------------
//	never sent; 429; 409 with a rate limit; 408; 425             true
//	5xx but 501; connection lost; response cut or silent         true, but false if it matches ErrOutcomeUnknown
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
// Idempotent calls (reads, updates, deletes, archive, resume, refresh, validate) are repeated more freely than the
// others (creates, saving a skill, publishing, a POST with [Client.Do]):
//
//	what happened                                           idempotent              creates
//	-----------------------------------------------------   ---------------------   -------------------
//	the request was never sent                              repeated (window)       repeated (window)
//	429; 409 with a rate-limit header                       repeated                repeated
//	502; 503; 504; 520 to 524; 530                          repeated (window)       ErrOutcomeUnknown
//	408; 425                                                repeated                an error
//	connection lost or timed out after sending; response    repeated                ErrOutcomeUnknown
//	cut, or silent for 60 s
//	500 and other 5xx                                       an error                ErrOutcomeUnknown
//	2xx that cannot be used                                 an error                ErrOutcomeUnknown
//	501, 4xx, 3xx                                           an error                an error
//	401, if WithCredential then returns another key         repeated once           repeated once
//
// (window) means: for [RetryPolicy].UnavailableWindow, 30 s by default, since a Hub that restarts is away for 5 to 15
// seconds. What is repeated without a window, and a host name that does not exist, is tried MaxAttempts times, 4 by
// default. A bad certificate or the wrong protocol on a port is tried once. Waits double from 100 ms to 5 s, with
// jitter. Retry-After, X-RateLimit-Reset and X-RateLimit-Retry-After are honoured up to 60 s; dates are compared with
// the Date of the response. If the Hub asks for a longer wait, or for one beyond the window or the deadline of the
// context, the call ends at once with [APIError].RetryAfter set. The client's own waits are cut so that a last attempt
// begins 100 ms before the deadline. The end of the context ends every wait at once.
//
// After a 429 the client holds back all its calls for as long as the Hub asks to wait, unless that is longer than
// MaxRetryAfter. Then the calls that have waited are sent one after the other, at most as many in a second as
// [WithConnectRate] allows. A call whose context would end before the hold does is sent at once, and one whose context
// would end before its turn is sent when the hold ends. New live connections wait as well, unless their context would
// end meanwhile. With MaxAttempts 1 nothing is held back.
//
// A response body that brings less than 1 KiB in 60 s counts as a lost connection. The body of an error response is
// read for 5 s at most.
//
// A request counts as never sent in three cases: there was no connection for it; nothing of its body was read; or an
// HTTP/2 peer says that it did not process the stream (a GOAWAY below it). A request whose body was written only in
// part, over HTTP/1.1, has no effect either, and is sent again up to MaxAttempts times.
//
// A 503 does not prove that the Hub refused the request, whatever its body and headers: gateways send a 503, with a
// Retry-After and in JSON, also when the Hub has read the request and only the response was lost. Nor does the
// REFUSED_STREAM of HTTP/2, which HAProxy sends in the same case.
//
// After an attempt whose response was lost, a DELETE that finds nothing, and an archive that finds the session
// archived, have worked.
//
// # Limits
//
// The size of what a peer may send is bounded. A response, a message of a HubConn and an entry of ReplayEntries may be
// as large as [WithMaxResponseSize] says, 256 MiB by default, and an event of a stream 64 MiB. Anything larger is an
// error that matches [ErrResponseTooLarge]. A decoded response takes at most 20 times its size plus 64 MB. Iterators
// hold one page, entry or event at a time. A HubConn stops reading while 1,024 messages, or 64 MiB of them, wait for
// the program.
//
// [Limits] bound what an agent may spend on a session or a prompt: dollars, tokens, turns, tool calls. What it has spent
// is in [SessionResult].Spent.
//
// A client opens at most as many live connections in a second as [WithConnectRate] says, 200 by default. It does not
// limit how many calls run at once, but holds calls back after a 429: see Retries.
//
// # Testing
//
// Package codertest has a fake Hub for your tests. Its agent behaves as the real one was recorded to, and faults can be
// injected: lost responses, restarts, overloaded models. With its in-memory network a test runs in a [testing/synctest]
// bubble, where waits take no time.
//
// # Compatibility
//
// The two newest releases of Go are supported. Before v1 a minor version may change the API, and CHANGELOG.md lists
// what it changes; a patch version does not. The header User-Agent tells the Hub the version of the client: see
// [Version].
//
// A Hub may be older or newer than this package. What the Hub sends and this package does not know is kept: members in
// Extra, values of enumerations as they came, messages and events as [*UnknownMessage], [*UnknownAgentEvent] and the
// like. What the Hub takes and this package does not know can be sent: requests have an Extra, and [Client.Do] calls
// routes that have no method.
//
// Decoding is lenient about what does not matter: a member of the wrong kind is left at its zero value, unknown members
// are kept in Extra, and unknown values of enumerations are kept. It is strict about what does: a response that is not
// JSON, or lacks what identifies the object, is an error, never a zero value.
//
// Free JSON is the content of an any or a map[string]any: metadata, arguments and parameters of tools, details of
// errors. A number in it is a float64, unless that would change the number. A whole number that a float64 does not
// hold, such as 9007199254740993, or that would be written with other digits, such as 9223372036854775808, is a
// [encoding/json.Number] with its digits; so is a number beyond the range of a float64, such as 1e400. A json.Number in
// a request is sent with all its digits; one that is no number is a ValidationError. A float64 is sent in the shortest
// form that is read as the same float64: use int64 or json.Number for numbers beyond 2^53 that must be exact.
//
// # JSON
//
// Requests, responses and messages can be stored with encoding/json and with encoding/json/v2, whose mirror before Go
// 1.27 is github.com/go-json-experiment/json. What either package wrote on one version of Go, either package reads on
// another version into an equal value, members in Extra included. A nil list and an empty one count as equal, except in
// members with omitzero: there nil is left out, and [] is read as []. So an update that is read from a file changes the
// same members as the one that was written.
//
// The rules are those of the package that is called: whether names match in any letter case, what null does to a value
// that is already set, whether invalid UTF-8 is an error, whether a nil list is written as null or []. A number in free
// JSON is read as a float64 whatever its size. If a name in Extra differs from the name of a field only in letter case,
// encoding/json reads it into the field.
//
// Before Go 1.27 encoding/json does not know the tag option embed, which Extra has. There, types with an Extra have
// JSON methods. These follow the rules of encoding/json, whichever package calls them; options of a json.Decoder, such
// as UseNumber, do not reach them; and a member of the wrong kind is left at its zero value where encoding/json would
// return an error.
//
// Extra would be lost with GOEXPERIMENT=jsonv2 before Go 1.27, and with GOEXPERIMENT=nojsonv2 from Go 1.27 on. The
// package does not compile with these settings.
package coder
