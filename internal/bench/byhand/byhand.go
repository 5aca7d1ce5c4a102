// Package byhand has the answers of a Hub as somebody without a library would write them down: the
// members that this library's types have as far as the canned server sends them, and no others.
package byhand

import (
	"encoding/json"
	"time"
)

// Item is a session as lists have it.
type Item struct {
	SessionID        string     `json:"sessionId"`
	Label            string     `json:"label"`
	Status           string     `json:"status"`
	Mode             string     `json:"mode"`
	Visibility       string     `json:"visibility"`
	Owner            *Owner     `json:"owner"`
	Origin           *Origin    `json:"origin"`
	Repo             *Repo      `json:"repo"`
	Workspace        *Workspace `json:"workspace"`
	SessionKind      string     `json:"sessionKind"`
	WorkflowMode     string     `json:"workflowMode"`
	CreatedAt        time.Time  `json:"createdAt"`
	LastActivityAt   time.Time  `json:"lastActivityAt"`
	TaskCount        int        `json:"taskCount"`
	SubAgentCount    int        `json:"subAgentCount"`
	ObserverCount    int        `json:"observerCount"`
	ParticipantCount int        `json:"participantCount"`
	Tags             []string   `json:"tags"`
	Skills           []Skill    `json:"skills"`
	EnabledAgents    []string   `json:"enabledAgents"`
	DefaultAgent     string     `json:"defaultAgent"`
	Bucket           string     `json:"bucket"`
	RuntimeAvailable bool       `json:"runtimeAvailable"`
	ControlAvailable bool       `json:"controlAvailable"`
	ManageAvailable  bool       `json:"manageAvailable"`
	WakeAvailable    bool       `json:"wakeAvailable"`
	HistoryOnly      bool       `json:"historyOnly"`
	LiveExpected     bool       `json:"liveExpected"`
}

// Session is a session with its details.
type Session struct {
	Item
	Task      string            `json:"task"`
	Env       map[string]string `json:"env"`
	Metadata  map[string]any    `json:"metadata"`
	UpdatedAt time.Time         `json:"updatedAt"`
}

// List is a list of sessions.
type List struct {
	Sessions struct {
		Websocket []Item `json:"websocket"`
	} `json:"sessions"`
	Total int `json:"total"`
}

// Owner is who a session belongs to.
type Owner struct {
	UserID string `json:"userId"`
	Name   string `json:"name"`
}

// Origin is where a session came from.
type Origin struct {
	Type string `json:"type"`
}

// Repo is a repository.
type Repo struct {
	RepoID        string `json:"repoId"`
	Type          string `json:"type"`
	Provider      string `json:"provider"`
	Owner         string `json:"owner"`
	Name          string `json:"name"`
	FullName      string `json:"fullName"`
	URL           string `json:"url"`
	CloneURL      string `json:"cloneUrl"`
	DefaultBranch string `json:"defaultBranch"`
	Branch        string `json:"branch"`
}

// Workspace has what the program reads of a workspace.
type Workspace struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

// Skill is an attached skill.
type Skill struct {
	SkillID string `json:"skillId"`
	Repo    string `json:"repo"`
	Name    string `json:"name"`
	URL     string `json:"url"`
}

// Replay has what the program reads of a transcript.
type Replay struct {
	SessionID     string  `json:"sessionId"`
	EntriesSource string  `json:"entriesSource"`
	Entries       []Entry `json:"entries"`
}

// Entry is an entry of a transcript.
type Entry struct {
	Type       string         `json:"type"`
	Timestamp  int64          `json:"timestamp"`
	Agent      string         `json:"agent"`
	Content    string         `json:"content"`
	Thinking   string         `json:"thinking"`
	ToolName   string         `json:"toolName"`
	ToolCallID string         `json:"toolCallId"`
	ToolArgs   map[string]any `json:"toolArgs"`
	IsError    *bool          `json:"isError"`
	TaskID     string         `json:"taskId"`
	TurnID     string         `json:"turnId"`
	ReplyID    string         `json:"replyId"`
	Sequence   *int64         `json:"sequence"`
	ElapsedMs  *float64       `json:"elapsedMs"`
}

// Broadcast is an event of a session.
type Broadcast struct {
	Type      string          `json:"type"`
	Event     string          `json:"event"`
	Category  string          `json:"category"`
	Data      json.RawMessage `json:"data"`
	SessionID string          `json:"sessionId"`
	Timestamp int64           `json:"timestamp"`
}
