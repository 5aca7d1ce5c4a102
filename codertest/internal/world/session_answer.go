package world

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type sessionOwner struct {
	UserID string `json:"userId"`
	Name   string `json:"name,omitzero"`
}

type sessionOrigin struct {
	Type string `json:"type"`
}

// sessionItem is a session as the list has it. It is not coder.SessionListItem, as
// no type here is one of package coder: the package comment says why.
type sessionItem struct {
	SessionID        string            `json:"sessionId"`
	Label            string            `json:"label"`
	Status           string            `json:"status"`
	Mode             string            `json:"mode"`
	Visibility       string            `json:"visibility"`
	Owner            sessionOwner      `json:"owner"`
	Origin           sessionOrigin     `json:"origin"`
	Repo             repository        `json:"repo,omitzero"`
	Repos            []repository      `json:"repos,omitempty"`
	Workspace        *sessionWorkspace `json:"workspace,omitzero"`
	SessionKind      string            `json:"sessionKind"`
	ParentSessionID  string            `json:"parentSessionId,omitzero"`
	WorkflowMode     string            `json:"workflowMode"`
	LoopStatus       string            `json:"loopStatus,omitzero"`
	LoopIteration    *int              `json:"loopIteration,omitzero"`
	CreatedAt        string            `json:"createdAt"`
	LastActivityAt   string            `json:"lastActivityAt"`
	TaskCount        int               `json:"taskCount"`
	SubAgentCount    int               `json:"subAgentCount"`
	ObserverCount    int               `json:"observerCount"`
	ParticipantCount int               `json:"participantCount"`
	Tags             []string          `json:"tags"`
	Skills           []skillRef        `json:"skills"`
	EnabledAgents    []string          `json:"enabledAgents"`
	Builder          *builderState     `json:"builder,omitzero"`
	DefaultAgent     string            `json:"defaultAgent,omitzero"`
	Bucket           string            `json:"bucket"`
	RuntimeAvailable bool              `json:"runtimeAvailable"`
	ControlAvailable bool              `json:"controlAvailable"`
	ManageAvailable  bool              `json:"manageAvailable"`
	WakeAvailable    bool              `json:"wakeAvailable"`
	HistoryOnly      bool              `json:"historyOnly"`
	LiveExpected     bool              `json:"liveExpected"`
}

// sessionDetail is a session as it is answered by itself.
type sessionDetail struct {
	sessionItem
	Task      string                    `json:"task,omitzero"`
	Env       map[string]string         `json:"env,omitzero"`
	Metadata  map[string]jsontext.Value `json:"metadata,omitzero"`
	Activity  jsontext.Value            `json:"agentActivity,omitzero"`
	Tasks     jsontext.Value            `json:"tasks,omitzero"`
	Stream    jsontext.Value            `json:"stream,omitzero"`
	UpdatedAt string                    `json:"updatedAt"`
}

func (s *Session) item() sessionItem {
	row := s.row()
	item := sessionItem{
		SessionID:        s.id,
		Label:            s.label,
		Status:           s.status,
		Mode:             s.mode,
		Visibility:       s.visibility,
		Owner:            s.owner,
		Origin:           sessionOrigin{Type: "sdk"},
		Repo:             s.repo,
		Repos:            s.repos,
		Workspace:        s.workspace.ref(),
		SessionKind:      s.kind,
		ParentSessionID:  s.parentID,
		WorkflowMode:     s.workflowMode,
		CreatedAt:        iso(s.createdAt),
		LastActivityAt:   iso(s.activeAt),
		TaskCount:        s.taskCount,
		SubAgentCount:    s.connected("sub_agent"),
		ObserverCount:    s.connected("observer"),
		ParticipantCount: s.connected(""),
		Tags:             s.tags,
		Skills:           s.skills,
		EnabledAgents:    s.enabledAgents,
		Builder:          s.builder,
		DefaultAgent:     s.defaultAgent,
		Bucket:           row.bucket,
		RuntimeAvailable: row.runtime,
		ControlAvailable: row.control,
		ManageAvailable:  row.manage,
		WakeAvailable:    row.wake,
		HistoryOnly:      row.historyOnly,
		LiveExpected:     row.live,
	}
	if s.loop != nil {
		item.LoopStatus = s.loop.Status
		item.LoopIteration = new(s.loop.Iteration)
	}
	return item
}

func (s *Session) detail() any {
	detail := sessionDetail{
		sessionItem: s.item(),
		Task:        s.task,
		Env:         s.env,
		Metadata:    s.metadata,
		Activity:    s.activity(time.Now()),
		Tasks:       s.report.shownTasks(),
		Stream:      s.report.stream(),
		UpdatedAt:   iso(s.updatedAt),
	}
	if len(s.members) == 0 {
		return detail
	}
	return override(detail, s.members)
}
