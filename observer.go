package coder

import (
	"context"
	"time"
)

// Observer has functions that a client calls to report what it does, for metrics, traces and logs. See
// [WithObserver]. Each function may be nil.
//
// The functions are called directly by the goroutine that makes the call or reads the connection, and by several goroutines
// at the same time. They should return soon, since the call waits for them. A panic in one is not recovered. What is
// reported can be used in labels of metrics: routes are templates, without ids, queries and keys. Exceptions are SessionID
// and TaskID, the text of Err, and what an agent says.
type Observer struct {
	// Call is called before a call begins. A call is a request with all its attempts, a message over a WebSocket with its
	// answer, or a method that makes several of these, such as EnsureSession, WaitForSession, RunSession, Attach, Prompt and
	// Ask. The call goes on with the context that is returned, so that a span in it is the parent of everything below. The
	// function that is returned, unless it is nil, is called once when the call is over.
	//
	// A method that makes several calls reports each of them too. To count only what the program itself has called, count
	// the calls whose context does not hold a value that Call has put into a context before. An iterator reports one call
	// for each request that it makes; those of StreamEvents and ReplayEntries are over when the response begins. What
	// concurrent callers of EnsureSession with one key share, and discovery, belongs to the first of them.
	Call func(context.Context, CallInfo) (context.Context, func(CallResult))
	// Attempt is called at the end of each attempt of a request, before the wait for the next one, with the context of the call.
	Attempt func(context.Context, AttemptInfo)
	// Connection is called when a live connection, of [Client.StreamEvents] or of a [HubConn], is opened, lost, back, or
	// over, and when an attempt to open it has failed. Its context is that of the call which opened the connection, and does
	// not end.
	Connection func(context.Context, ConnectionInfo)
	// Agent is called with each event of the agent in [HubConn.Ask], [Client.Answer] and [Client.RunSession], with the
	// context of the call, in order and once for a call. Of what happened while a connection was lost, only messages, tools
	// and tasks are reported. Ask and Answer end with the last message. RunSession reports the events that are new to it,
	// and all events of a session that it has created. If Agent is set, RunSession reads the history of the session as it
	// grows, as it does with [Limits].
	Agent func(context.Context, AgentInfo)
}

// CallInfo is a call that begins.
type CallInfo struct {
	// Operation is the method of [Client] or [HubConn] that makes the call, such as "EnsureSession": the method that the
	// program has called, or one that this method calls. Discovery is "URL".
	Operation string
	// Method is the HTTP method, "" for a call that is not a single request.
	Method string
	// Route is the template of the path below /api, such as "/hub/session/{sessionID}", or "/ws" for a message over a
	// WebSocket. It is "" for a method that makes several calls, and for Do. The route of discovery, "/coder", is below the
	// root instead of /api.
	Route string
	// SessionID is the session that the call is about, "" for none, and if it is not known yet. It is safe to print, as are
	// all session ids that an observer receives: it is cut after 300 characters, and holds no key.
	SessionID string
}

// CallResult is the result of a call.
type CallResult struct {
	// Err is the error of the method, or says that a panic ended it. If it matches ErrOutcomeUnknown, the call may have
	// taken effect.
	Err error
	// Failure is the kind of the last attempt's failure, "" for success and for a call that is not a single request.
	// [FailureNoCredential] is the only kind without an attempt.
	Failure AttemptFailure
	// StatusCode is the status of the last attempt's response, 0 if there was none, or the call is not a
	// single request.
	StatusCode int
	// Attempts is the number of attempts, 0 if the call is not a single request.
	Attempts int
	// Duration is how long the call took, waits included.
	Duration time.Duration
	// SessionID is the session that the call was about, "" for none.
	SessionID string
	// Answer is what [HubConn.Ask] and [Client.Answer] return, or what the agent said before their error. Session is what
	// [Client.RunSession] returns. Both are nil for other calls.
	Answer  *Answer
	Session *SessionResult
}

// AttemptInfo is an attempt that is over.
type AttemptInfo struct {
	// Operation, Method and Route are those of the call.
	Operation, Method, Route string
	// Scheme is "https" or "http". Host is where the request went, with the port if the URL has one.
	Scheme, Host string
	// Attempt counts from 1.
	Attempt int
	// StatusCode is the status of the response, 0 if there was none or it was cut.
	StatusCode int
	// Err says why there was no response, or why a 2xx could not be read. Nil: there was a response, of any
	// status.
	Err error
	// Failure is the kind of failure, "" for success.
	Failure AttemptFailure
	// Duration is how long the attempt took, until the body was read or, for an event stream, until the stream
	// began.
	Duration time.Duration
	// Sent and Received are the sizes of the bodies in bytes, without compression. The body of an event stream arrives
	// later, and is not counted.
	Sent, Received int64
	// Again says that another attempt will follow after Wait, unless the context ends first.
	Again bool
	Wait  time.Duration
}

// AttemptFailure is the kind of a failed attempt, in the terms of the retry table in the package documentation.
type AttemptFailure string

// The kinds.
const (
	FailureNeverSent    AttemptFailure = "never_sent"    // the request was never sent
	FailureUnknownHost  AttemptFailure = "unknown_host"  // the host name does not exist
	FailureUntrusted    AttemptFailure = "untrusted"     // the certificate is not trusted, the port speaks another protocol, or a proxy refuses
	FailureUnprocessed  AttemptFailure = "unprocessed"   // it had no effect: the peer says so, or only a part of the body was sent
	FailureLost         AttemptFailure = "lost"          // the connection failed, or fell silent
	FailureRateLimited  AttemptFailure = "rate_limited"  // 429, and 409 with a rate limit
	FailureUnavailable  AttemptFailure = "unavailable"   // 502, 503, 504, and 520 to 524 and 530 of gateways
	FailureTooLate      AttemptFailure = "too_late"      // 408, 425
	FailureServerError  AttemptFailure = "server_error"  // other 5xx but 501
	FailureUnusable     AttemptFailure = "unusable"      // a 2xx that cannot be used
	FailureRejected     AttemptFailure = "rejected"      // 3xx, other 4xx, 501
	FailureEnded        AttemptFailure = "ended"         // the context ended
	FailureNoCredential AttemptFailure = "no_credential" // the function of WithCredential failed
)

// ConnectionInfo is something that happened to a live connection.
type ConnectionInfo struct {
	// Operation is "StreamEvents", or for a [HubConn] "Connect", "ConnectNew" or "Attach". Route is the template of the path below /api.
	Operation, Route string
	// Change is what happened.
	Change ConnectionChange
	// Attempt counts the attempts to open it from 1, for the changes opened, failed and back.
	Attempt int
	// Err says why the connection failed, was lost, or is over; nil if the program has closed it, or the
	// session is over.
	Err error
	// Up is how long the connection was open, for the change lost, and for over if it was open until then. It is then
	// greater than 0: over with Up 0 says that the connection was not open.
	Up time.Duration
	// Down is how long there was no connection, for the change back.
	Down time.Duration
}

// ConnectionChange is what can happen to a live connection.
type ConnectionChange string

// The changes. A connection is open from opened or back until lost or over.
const (
	ConnectionOpened ConnectionChange = "opened"
	ConnectionFailed ConnectionChange = "failed" // an attempt to open it, or to open it again; others may follow
	ConnectionLost   ConnectionChange = "lost"   // attempts to open it again follow
	ConnectionBack   ConnectionChange = "back"
	ConnectionOver   ConnectionChange = "over" // it has ended; no other change follows
)

// AgentInfo is something that an agent did.
type AgentInfo struct {
	// Operation is "Ask", "Answer" or "RunSession".
	Operation string
	// SessionID is the session.
	SessionID string
	// TaskID is the task of a sub-agent, "" for the agent itself.
	TaskID string
	// Name is the name of the event, such as [EventToolExecutionStart], and Event what happened, such as a [*ToolExecutionStart].
	Name  EventName
	Event AgentEvent
	// At is when it happened: for an event that is read from a history, as the Hub has stored it, by the Hub's clock;
	// otherwise when it was received.
	At time.Time
}
