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
	// Event is the name of the event, such as [coder.EventTurnEnd].
	Event coder.EventName
	// Category is the group the event belongs to. Empty: it follows from the
	// name, such as turn for turn_end. If the name tells nothing, it is session.
	Category coder.EventCategory
	// Agent is the agent it came from, if any.
	Agent string
	// TaskID is the task it belongs to, if any.
	TaskID string
	// Payload is written as encoding/json/v2 does, when the event is emitted.
	// Nil: an empty object. Live connections get it with Agent and TaskID as
	// its members agent and taskId, unless it has such members. If Payload is
	// no object, they get an object with Payload as the member value.
	Payload any
	// Time is when the event happened: OccurredAt in the history, and the timestamp
	// on live connections. Zero: now.
	Time time.Time
}

// Participant is somebody connected to a session.
type Participant struct {
	// ID identifies the participant. Empty: the Hub makes one.
	ID string
	// Role is its part in the session. Empty: [coder.RoleObserver].
	Role coder.HubRole
	// Transport is ws or sse. Empty: ws.
	Transport string
	// AgentRole is the name of the agent, if it is one.
	AgentRole string
	// Metadata holds free members, if any.
	Metadata map[string]any
}

func (p Participant) world() world.Participant {
	return world.Participant{
		ID: p.ID, Role: string(p.Role), Transport: p.Transport, AgentRole: p.AgentRole, Metadata: p.Metadata,
	}
}

// ReplayEntry is one entry of a session's conversation.
type ReplayEntry struct {
	// Type decides the meaning of the other members.
	Type coder.ConversationEntryType
	// Agent is who said it, if it was an agent, and Content what was said.
	Agent   string
	Content string
	// Members are further members of the entry, such as toolName or turnId.
	// They replace those that the Hub sets by itself.
	Members map[string]any
	// Time is when it was said. Zero: now.
	Time time.Time
}

func (e ReplayEntry) world() world.Entry {
	return world.Entry{Type: string(e.Type), Agent: e.Agent, Content: e.Content, Members: e.Members, Time: e.Time}
}

// Session is a session that already exists when the test begins, with a past. A
// zero member means what it means for a session that was created without it.
type Session struct {
	// Task is the first prompt. The Hub's agent has already worked on it, unless
	// Status says that the session is yet to begin. If Label is empty, it is the
	// beginning of the task.
	Task, Label string
	// Status is one of those of [SessionControl.SetStatus], such as paused, archived
	// or failed. Empty: active.
	Status string
	// Owner is who owns the session. Zero: the owner of the key, who owns all that
	// clients create.
	Owner coder.SessionOwner
	// Mode is where the session runs. Empty: in a sandbox.
	Mode coder.SessionMode
	// Visibility is who may see the session. Empty: private.
	Visibility coder.SessionVisibility
	// WorkflowMode is standard if it is empty, or loop if Loop is set. Loop is
	// the state of the loop, as for SetLoop.
	WorkflowMode coder.WorkflowMode
	Loop         *Loop
	// DefaultAgent is the id of the agent that prompts go to.
	DefaultAgent string
	// Tags and Metadata are what the session was created with. The values of
	// Metadata are copied now.
	Tags     []string
	Metadata map[string]any
	// Created is when the session was created. Zero: now. LastActivity is when
	// something happened last. Zero: the latest time in Entries and Events, or else
	// Created.
	Created, LastActivity time.Time
	// Entries are the conversation, oldest first. Nil: the task as the first prompt.
	Entries []ReplayEntry
	// Events are the history, oldest first. Nil: a session_start. Each has its Time
	// as OccurredAt and IngestedAt. Events and Entries without a Time have the time
	// of the one before; the first has that of Created.
	Events []Event
}

// Loop is the state of a session's loop.
type Loop struct {
	// Status is a value such as [coder.LoopRunning], or any text of a newer Hub.
	Status coder.LoopStatus
	// Iteration counts the rounds of the loop, of which there are at most MaxIterations. 0: no such limit.
	Iteration     int
	MaxIterations int
	// Goal, Summary and NextAction are left out if they are empty.
	Goal, Summary, NextAction string
}

func (l Loop) world() world.Loop {
	return world.Loop{
		Status: string(l.Status), Iteration: l.Iteration, MaxIterations: l.MaxIterations,
		Goal: l.Goal, Summary: l.Summary, NextAction: l.NextAction,
	}
}

// Todo is something that is to be done in a session.
type Todo struct {
	// ID identifies the todo. Empty: the Hub makes one.
	ID string
	// Title says what is to be done.
	Title string
	// Status is the state of the todo. Empty: [coder.TodoOpen].
	Status coder.SessionTodoStatus
	// Type is free text. Empty: task. Priority and ParentTaskID are null if they are
	// empty.
	Type, Priority, ParentTaskID string
	// Assignee is who the todo is assigned to: nobody without an ID. If Name is empty,
	// it is the ID.
	Assignee coder.SessionTodoAssignee
	// Tags are words.
	Tags []string
	// Created is when it was created. Zero: now. Updated is when it was changed last.
	// Zero: Created.
	Created, Updated time.Time
}

func (t Todo) world() world.Todo {
	return world.Todo{
		ID: t.ID, Title: t.Title, Status: string(t.Status), Type: t.Type, Priority: t.Priority, ParentTaskID: t.ParentTaskID,
		AssigneeID: t.Assignee.ID, AssigneeName: t.Assignee.Name, AssigneeType: t.Assignee.Type,
		Tags: t.Tags, Created: t.Created, Updated: t.Updated,
	}
}

// User is a member of the organization.
type User struct {
	// UserID identifies the user. Empty: the Hub makes one.
	UserID string
	// DisplayName is what a search looks at.
	DisplayName string
	// Email is the user's address. Empty: one made of the id.
	Email string
	// Provider says how the user logs in. Empty: github.
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
	// Repositories belong to the account.
	Repositories []GitHubRepository
}

func (a GitHubAccount) world() world.GitHubAccount {
	account := world.GitHubAccount{
		AccountID: a.AccountID, AccountName: a.AccountName, AccountType: a.AccountType,
		InstallationID: a.InstallationID, IntegrationID: a.IntegrationID, AvatarURL: a.AvatarURL,
	}
	for _, r := range a.Repositories {
		account.Repositories = append(account.Repositories, world.GitHubRepository(r))
	}
	return account
}

// GitHubRepository is a repository of a GitHubAccount. Its addresses and its
// full name follow from the account.
type GitHubRepository struct {
	// ID is GitHub's number. 0: the Hub makes one.
	ID int64
	// Name is without the owner.
	Name string
	// DefaultBranch is the default branch. Empty: main.
	DefaultBranch string
	// Private, Archived and Disabled are as GitHub has them.
	Private, Archived, Disabled bool
}

// ClientFrame is a message that a client has sent over a socket.
type ClientFrame struct {
	// Time is when the Hub had read it.
	Time time.Time
	// The sender: its participant id and its role.
	Participant string
	Role        coder.HubRole
	// Type is rpc_command, ping or another.
	Type string
	// Body is the whole message, byte for byte. Only an event of an agent comes
	// without the copies of earlier reports, as in the history.
	Body []byte
}

func clientFrame(f world.Frame) ClientFrame {
	return ClientFrame{
		Time: f.Time, Participant: f.Participant, Role: coder.HubRole(f.Role), Type: f.Type, Body: f.Body,
	}
}

// Action is one action of the answer to a lead's request, such as
// {"action": "BLOCK", "reason": "not here"}.
type Action map[string]any

// LeadRequest is a request whose sender, usually the lead, waits for an answer.
// Its JSON has further members, depending on the type.
type LeadRequest struct {
	// SessionID is the session: leads of several sessions may send requests at the same time.
	SessionID string
	// Type is event, tool or command, Name is the name of the event, the tool or the
	// command.
	Type string
	// ID is also the id of the answer.
	ID   string
	Name string
	// Body is the whole request, byte for byte.
	Body []byte
}

// Refusal is how the Hub refuses clients that want to follow a session. A stream
// of events is answered with a status. A socket is opened first, and then closed
// with a code.
type Refusal struct {
	// Count is how many clients to refuse; 0 means one, less than 0 all until
	// [Injection.Remove].
	Count int
	// Status is the HTTP status a stream of events is answered with. 0: 503.
	Status int
	// Header replaces fields of that answer, such as Retry-After. An empty
	// slice removes the field.
	Header http.Header
	// Code and Message say why. For a stream of events they are in the error,
	// and Code is a [coder.ErrorCode]. For a socket they are in the frame
	// connection_rejected, which has other codes; with an empty Code a socket
	// is closed without that frame.
	Code, Message string
	// CloseCode is the code a socket is closed with. 0: [coder.CloseUnavailable].
	CloseCode coder.CloseCode
	// Reason is the close reason of a socket, at most 123 bytes.
	Reason string
}

// world returns the refusal with its defaults. It panics if a socket cannot be
// closed in this way.
func (r Refusal) world() world.Refusal {
	closeCode := cmp.Or(r.CloseCode, coder.CloseUnavailable)
	checkClose(closeCode, r.Reason)
	return world.Refusal{
		Count: cmp.Or(r.Count, 1),
		Problem: &world.Problem{
			Status:  cmp.Or(r.Status, http.StatusServiceUnavailable),
			Code:    r.Code,
			Message: cmp.Or(r.Message, "The session cannot be followed now"),
			Header:  merge(r.Header.Clone()),
		},
		Rejection: world.Rejection{Code: r.Code, Message: r.Message, CloseCode: int(closeCode), Reason: r.Reason},
	}
}

// checkClose panics if a socket cannot be closed with this code or this reason.
func checkClose(code coder.CloseCode, reason string) {
	usual := code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
	if !usual && (code < 3000 || code > 4999) {
		panic(fmt.Sprintf("codertest: a socket cannot be closed with the code %d", code))
	}
	if len(reason) > 123 {
		panic("codertest: the close reason of a socket is longer than 123 bytes")
	}
}
