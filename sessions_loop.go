package coder

import "context"

// LoopStatus is where a loop stands. Unknown values are kept as they came.
type LoopStatus string

// The statuses of loops.
const (
	LoopIdle          LoopStatus = "idle"
	LoopStarting      LoopStatus = "starting"
	LoopRunning       LoopStatus = "running"
	LoopPaused        LoopStatus = "paused"
	LoopCompleted     LoopStatus = "completed"
	LoopCancelled     LoopStatus = "cancelled"
	LoopBlocked       LoopStatus = "blocked"
	LoopAwaitingInput LoopStatus = "awaiting_input"
	LoopFailed        LoopStatus = "failed"
)

// LoopStateResponse says where the loop of a session stands.
type LoopStateResponse struct {
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// WorkflowMode says how the session works on its task.
	WorkflowMode WorkflowMode `json:"workflowMode"`
	// Loop is the state of the loop; nil for a session that is not in loop mode.
	Loop *SessionLoopState `json:"loop"`
}

func (r *LoopStateResponse) problem() error { return missingText("sessionId", r.SessionID) }

func (r *LoopStateResponse) namedSession() string { return r.SessionID }

// SessionLoopState is where a loop stands.
type SessionLoopState struct {
	// Status is its status.
	Status LoopStatus `json:"status"`
	// Iteration is the current iteration.
	Iteration int `json:"iteration"`
	// MaxIterations ends the loop at the latest; nil: no such limit is said.
	MaxIterations *int `json:"maxIterations,omitzero"`
	// Goal is what it works towards.
	Goal string `json:"goal,omitzero"`
	// Summary says what was done.
	Summary string `json:"summary,omitzero"`
	// NextAction says what comes next.
	NextAction string `json:"nextAction,omitzero"`
	// LoopID is its id.
	LoopID string `json:"loopId,omitzero"`
	// StartedAt is when it began.
	StartedAt UnixMilli `json:"startedAt,omitzero"`
	// UpdatedAt is when this state was written.
	UpdatedAt UnixMilli `json:"updatedAt,omitzero"`
	// CompletedAt is when it ended.
	CompletedAt UnixMilli `json:"completedAt,omitzero"`
	// LastCheckpointAt is when it was stored last.
	LastCheckpointAt UnixMilli `json:"lastCheckpointAt,omitzero"`
	// AutoContinue says that the next iteration starts by itself; nil: not said.
	AutoContinue *bool `json:"autoContinue,omitzero"`
	// AllowDetached says that it goes on while nobody is attached; nil: not said.
	AllowDetached *bool `json:"allowDetached,omitzero"`
	// ActivePRDKey is the product document it works on.
	ActivePRDKey string `json:"activePrdKey,omitzero"`
	// ActivePRDTaskID is the task of that document.
	ActivePRDTaskID string `json:"activePrdTaskId,omitzero"`
}

// GetLoopState returns where the loop of a session stands. An unknown id is an error that matches
// [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/loop
func (c *Client) GetLoopState(ctx context.Context, sessionID string) (*LoopStateResponse, error) {
	return call[LoopStateResponse](ctx, c, get("GetLoopState", "/hub/session/{sessionID}/loop", sessionID))
}
