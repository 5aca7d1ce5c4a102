package coder

import "context"

// LoopStatus is the state of a loop. Unknown values are kept as they came.
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

// LoopStateResponse is the result of [Client.GetLoopState].
type LoopStateResponse struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// WorkflowMode is WorkflowLoop for a session that works in a loop.
	WorkflowMode WorkflowMode `json:"workflowMode"`
	// Loop is the state of the loop; nil for a session that is not in loop mode.
	Loop *SessionLoopState `json:"loop"`
}

func (r *LoopStateResponse) problem() error { return missingText("sessionId", r.SessionID) }

func (r *LoopStateResponse) namedSession() string { return r.SessionID }

// SessionLoopState is the state of a loop.
type SessionLoopState struct {
	// Status says whether the loop runs, waits or has ended.
	Status LoopStatus `json:"status"`

	// Iteration counts the rounds of the loop. It ends after MaxIterations; nil if the Hub names no limit.
	Iteration     int  `json:"iteration"`
	MaxIterations *int `json:"maxIterations,omitzero"`

	// Goal is what the session is to reach, Summary what it has done for that, NextAction what it does next.
	// All three are texts for people.
	Goal       string `json:"goal,omitzero"`
	Summary    string `json:"summary,omitzero"`
	NextAction string `json:"nextAction,omitzero"`

	// LoopID identifies the loop for the Hub; no method takes it.
	LoopID string `json:"loopId,omitzero"`

	// The times of the loop. CompletedAt is zero until it has ended; LastCheckpointAt is when the Hub last
	// stored its state.
	StartedAt        UnixMilli `json:"startedAt,omitzero"`
	UpdatedAt        UnixMilli `json:"updatedAt,omitzero"`
	CompletedAt      UnixMilli `json:"completedAt,omitzero"`
	LastCheckpointAt UnixMilli `json:"lastCheckpointAt,omitzero"`

	// AutoContinue begins the next iteration without a prompt. AllowDetached lets the loop go on while no
	// controller is attached. Nil if the Hub does not say.
	AutoContinue  *bool `json:"autoContinue,omitzero"`
	AllowDetached *bool `json:"allowDetached,omitzero"`

	// ActivePRDKey is the product requirements document that the loop works on, ActivePRDTaskID the task in it.
	ActivePRDKey    string `json:"activePrdKey,omitzero"`
	ActivePRDTaskID string `json:"activePrdTaskId,omitzero"`
}

// GetLoopState returns the state of a session's loop. An unknown id is an error that matches
// [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/loop
func (c *Client) GetLoopState(ctx context.Context, sessionID string) (*LoopStateResponse, error) {
	return call[LoopStateResponse](ctx, c, get("GetLoopState", "/hub/session/{sessionID}/loop", sessionID))
}
