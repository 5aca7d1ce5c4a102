package coder

import (
	"context"
	"time"
)

// Observer is told what a client does, for metrics, traces and logs. See [WithObserver]. Each function may be nil.
//
// The functions are called at once by the goroutine that makes the call or reads the connection, also by several at a time: they
// should return soon, since the call waits for them, and a panic in one is a panic of the program's. What they are told can stand
// in labels of metrics: routes are templates, and there are no ids, no queries and no keys; except in SessionID and TaskID, in the
// text of Err, and in what an agent says.
type Observer struct {
	// Call is called before a call begins: a request with all its attempts, a message over a WebSocket with its answer, and a
	// method that is made of several of these, such as EnsureSession, WaitForSession, RunSession, Attach, Prompt and Ask. What the
	// call does goes on with the context that is returned, so that what is in that is a parent to all below. The function that is
	// returned is called once when the call is over, unless it is nil.
	//
	// A method made of several calls tells of each of them too: to count what the program has called, count the calls whose context
	// has none of yours. An iterator is one call for each request that it makes, StreamEvents and ReplayEntries until the answer
	// begins. What callers of EnsureSession with one key share, and discovery, belongs to the first of them.
	Call func(context.Context, CallInfo) (context.Context, func(CallResult))
	// Attempt is called at the end of each attempt of a request, before the wait for the next one, with the context of the call.
	Attempt func(context.Context, AttemptInfo)
	// Connection is called when a live connection, of [Client.StreamEvents] or of a [HubConn], is there, lost, back, or over, and
	// when an attempt to open it has failed. Its context is that of the call which opened it, and does not end.
	Connection func(context.Context, ConnectionInfo)
	// Agent is called with what the agent does for [HubConn.Ask], [Client.Answer] and [Client.RunSession], with the context of the
	// call, in order and each thing once for a call. After a lost connection, what was missed is told of messages, tools and tasks
	// only. Ask and Answer end with the last message, RunSession tells what is new to it, and all of a session that it has created.
	// Set, it makes RunSession read the history of the session as it grows, as [Limits] do.
	Agent func(context.Context, AgentInfo)
}

// CallInfo is a call that begins.
type CallInfo struct {
	// Operation is the method of [Client] or [HubConn] that makes the call, such as "EnsureSession": the program's, or one that this
	// is made of. Discovery is "URL".
	Operation string
	// Method is the HTTP method, "" for what is not one request.
	Method string
	// Route is the template of the path below /api, such as "/hub/session/{sessionID}", or "/ws" for a message over a WebSocket. It
	// is "" for a method made of several calls, and for Do. That of discovery, "/coder", is below the root.
	Route string
	// SessionID is the session that the call is about, "" for none, and where it is not known yet. It is fit to be printed, as
	// all ids of sessions that an observer is told: one of more than 300 characters is cut, and no key is in it.
	SessionID string
}

// CallResult is what a call came to.
type CallResult struct {
	// Err is what the method returns, or why it does not. errors.Is(Err, ErrOutcomeUnknown) says that nobody knows what came of it.
	Err error
	// Failure is what the rules make of the last attempt, "" for success and for what is not one request. [FailureNoCredential] is
	// the only one without an attempt.
	Failure AttemptFailure
	// StatusCode is that of the last attempt, 0 if it had no answer, or the call is not one request.
	StatusCode int
	// Attempts is how many there were, 0 if the call is not one request.
	Attempts int
	// Duration is how long it took, waits included.
	Duration time.Duration
	// SessionID is the session that it was about, "" for none.
	SessionID string
	// Answer is what [HubConn.Ask] and [Client.Answer] return, or of an error what was said; Session what [Client.RunSession]
	// returns. Else nil.
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
	// StatusCode is that of the answer, 0 if there was none or it was cut.
	StatusCode int
	// Err says why there was no answer, or why a 2xx was not read. Nil: there was an answer, of any status.
	Err error
	// Failure is what the rules make of it, "" for success.
	Failure AttemptFailure
	// Duration is how long the attempt took, until the body was read; that of an event stream until it has begun.
	Duration time.Duration
	// Sent and Received are the bytes of the bodies, as they are without compression. What of a stream is received comes later.
	Sent, Received int64
	// Again says that another attempt is to follow after Wait, unless the context ends first.
	Again bool
	Wait  time.Duration
}

// AttemptFailure is the kind of a failed attempt, in the terms of the retry table in the package documentation.
type AttemptFailure string

// The kinds.
const (
	FailureNeverSent    AttemptFailure = "never_sent"    // no connection came about
	FailureUnknownHost  AttemptFailure = "unknown_host"  // the host name does not exist
	FailureUntrusted    AttemptFailure = "untrusted"     // the certificate, or what else stands on the port
	FailureUnprocessed  AttemptFailure = "unprocessed"   // the other side says that it had no effect
	FailureLost         AttemptFailure = "lost"          // the connection failed, or fell silent
	FailureRateLimited  AttemptFailure = "rate_limited"  // 429, and 409 with a rate limit
	FailureUnavailable  AttemptFailure = "unavailable"   // 502, 503, 504 and those of gateways
	FailureTooLate      AttemptFailure = "too_late"      // 408, 425
	FailureServerError  AttemptFailure = "server_error"  // other 5xx but 501
	FailureUnusable     AttemptFailure = "unusable"      // a 2xx of no use
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
	// Err says why it failed, was lost, or is over; nil if the program has left it, or the session is over.
	Err error
	// Up is how long the connection was there, where it was lost, or was there until it was over. It is above 0 then: over with
	// Up 0 says that it was not there.
	Up time.Duration
	// Down is how long it was away, where it is back.
	Down time.Duration
}

// ConnectionChange is what can happen to a live connection.
type ConnectionChange string

// The changes. A connection is there from opened or back to lost or over.
const (
	ConnectionOpened ConnectionChange = "opened"
	ConnectionFailed ConnectionChange = "failed" // an attempt to open it, or to open it again; others may follow
	ConnectionLost   ConnectionChange = "lost"   // attempts to open it again follow
	ConnectionBack   ConnectionChange = "back"
	ConnectionOver   ConnectionChange = "over" // the last that is told of it
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
	// At is when: as the Hub has stored it, by the Hub's clock, for what is read from a history; else when it was received.
	At time.Time
}
