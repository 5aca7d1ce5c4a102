package codertest

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// Event is one entry of a session's event history.
type Event struct {
	// Event is the name of the event, such as turn_end.
	Event string
	// Category is the group the event belongs to. Empty: the group its name
	// says, such as turn for turn_end, or session.
	Category string
	// Agent is the agent it came from, if any.
	Agent string
	// TaskID is the task it belongs to, if any.
	TaskID string
	// Payload is what encoding/json/v2 makes of it, taken when the event is
	// emitted. Nil: an empty object. Those who follow the session see it with
	// Agent and TaskID as members agent and taskId, unless it has its own; one
	// that is no object they see as the member value of one.
	Payload any
}

// Participant is somebody connected to a session.
type Participant struct {
	// ID identifies the participant. Empty: the Hub makes one.
	ID string
	// Role is lead, sub_agent, observer or controller. Empty: observer.
	Role string
	// Transport is ws or sse. Empty: ws.
	Transport string
	// AgentRole is the name of the agent, if it is one.
	AgentRole string
	// Metadata holds free members, if any.
	Metadata map[string]any
}

// ReplayEntry is one entry of a session's conversation.
type ReplayEntry struct {
	// Type is user_prompt, message, thinking, tool_call, tool_result,
	// task_result, runtime_status, runtime_output, runtime_preview or turn.
	Type string
	// Agent is the agent that speaks, if any.
	Agent string
	// Content is the text.
	Content string
	// Members are further members of the entry, such as toolName or turnId.
	// They replace those the Hub gives the entry by itself.
	Members map[string]any
}

// Loop is the state of a session's loop.
type Loop struct {
	// Status is idle, starting, running, paused, completed, cancelled,
	// blocked or awaiting_input.
	Status string
	// Iteration is the current iteration.
	Iteration int
	// MaxIterations is where the loop ends. 0: no such limit.
	MaxIterations int
	// Goal, Summary and NextAction are shown as they are, if not empty.
	Goal, Summary, NextAction string
}

// User is a member of the organization.
type User struct {
	// UserID identifies the user. Empty: the Hub makes one.
	UserID string
	// DisplayName is what a search looks at.
	DisplayName string
	// Email is the user's address. Empty: one made of the id.
	Email string
	// Provider is who signs the user in. Empty: github.
	Provider string
	// AvatarURL is a picture, if there is one.
	AvatarURL string
	// LastLoginAt, LastSeenAt and CreatedAt are zero for now.
	LastLoginAt, LastSeenAt, CreatedAt time.Time
}

// GitHubAccount is an account that has been linked to the Hub.
type GitHubAccount struct {
	// AccountID identifies the account in requests. Empty: the Hub makes one.
	AccountID string
	// AccountName is the login, and the owner of the repositories. Empty: the
	// id.
	AccountName string
	// AccountType is User or Organization. Empty: Organization.
	AccountType string
	// InstallationID and IntegrationID are made from the account's id if they
	// are empty.
	InstallationID, IntegrationID string
	// AvatarURL is a picture, if there is one.
	AvatarURL string
	// Repositories are the repositories of the account.
	Repositories []GitHubRepository
}

// GitHubRepository is a repository of a GitHubAccount. Its addresses and its
// full name follow from the account.
type GitHubRepository struct {
	// ID is GitHub's number. 0: the Hub makes one.
	ID int64
	// Name is the short name.
	Name string
	// DefaultBranch is the default branch. Empty: main.
	DefaultBranch string
	// Private, Archived and Disabled say what the repository is.
	Private, Archived, Disabled bool
}

// ClientFrame is a message somebody has sent over a socket.
type ClientFrame struct {
	// Time is when the Hub had read it.
	Time time.Time
	// Participant is the id of the sender.
	Participant string
	// Role is lead, sub_agent, observer or controller.
	Role string
	// Type is the type of the message, empty if it has none.
	Type string
	// Body is the message as it came.
	Body []byte
}

// Action is one action of the answer to a lead's request, such as
// {"action": "BLOCK", "reason": "not here"}.
type Action map[string]any

// LeadRequest is a request that a client, as a rule the lead, waits to have
// answered. Its JSON has further members, depending on the type.
type LeadRequest struct {
	// SessionID is the id of the session.
	SessionID string
	// Type is event, tool or command.
	Type string
	// ID is the id the answer will have.
	ID string
	// Name is the name of the event, the tool or the command.
	Name string
	// Body is the request as it came.
	Body []byte
}

// Refusal is how the Hub turns away somebody who wants to follow a session.
type Refusal struct {
	// Count is how many of them to turn away; 0 means one, less than 0 all.
	Count int
	// Status is the HTTP status a stream of events is answered with. 0: 503.
	// A socket is always opened, and refused afterwards.
	Status int
	// Header replaces fields of that answer, such as Retry-After. An empty
	// slice removes the field. A socket has none.
	Header http.Header
	// Code and Message say why, in the error of a stream of events and in the
	// frame connection_rejected of a socket. With an empty Code a socket is
	// closed without that frame.
	Code, Message string
	// CloseCode is the code a socket is closed with. 0: 4408, temporarily
	// unavailable.
	CloseCode int
	// Reason is the reason it is closed with, at most 123 bytes.
	Reason string
}

// world returns the refusal with its defaults. It panics if a socket cannot be
// closed in this way.
func (r Refusal) world() world.Refusal {
	closeCode := cmp.Or(r.CloseCode, int(coder.CloseUnavailable))
	checkClose(closeCode, r.Reason)
	return world.Refusal{
		Count: cmp.Or(r.Count, 1),
		Problem: &world.Problem{
			Status:  cmp.Or(r.Status, http.StatusServiceUnavailable),
			Code:    r.Code,
			Message: cmp.Or(r.Message, "The session cannot be followed now"),
			Header:  merge(r.Header.Clone()),
		},
		Rejection: world.Rejection{Code: r.Code, Message: r.Message, CloseCode: closeCode, Reason: r.Reason},
	}
}

// checkClose panics on a way to close a socket that cannot be.
func checkClose(code int, reason string) {
	usual := code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
	if !usual && (code < 3000 || code > 4999) {
		panic(fmt.Sprintf("codertest: a socket cannot be closed with the code %d", code))
	}
	if len(reason) > 123 {
		panic("codertest: the reason a socket is closed with is longer than 123 bytes")
	}
}
