package coder

import (
	"context"
	"encoding/json"
	"fmt"
)

// CreateSessionRequest describes a session. Only Task is required.
type CreateSessionRequest struct {
	// Task is the first prompt. Required.
	Task string `json:"task"`
	// Label is the display name. Default: the beginning of the task.
	Label string `json:"label,omitzero"`
	// Agent is the id of the agent that prompts go to by default.
	Agent string `json:"agent,omitzero"`
	// DefaultAgent is the same as Agent under its newer name, and wins if both are given.
	DefaultAgent string `json:"defaultAgent,omitzero"`
	// Visibility says who may see the session. Default: the Hub's, which is private.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// WorkflowMode says how it works on the task. Default: the Hub's, which is standard.
	WorkflowMode WorkflowMode `json:"workflowMode,omitzero"`
	// Loop configures the loop mode.
	Loop *SessionLoopConfig `json:"loop,omitzero"`
	// Tags are for filtering.
	Tags []string `json:"tags,omitzero"`
	// EnabledAgents are the agents that may take part.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
	// SavedSkillIDs are ids of saved skills to attach.
	SavedSkillIDs []string `json:"savedSkillIds,omitzero"`
	// SkillBucketIDs are ids of skill buckets to attach.
	SkillBucketIDs []string `json:"skillBucketIds,omitzero"`
	// Skills are attached without being saved.
	Skills []SkillRef `json:"skills,omitzero"`
	// Repo is the main repository.
	Repo *SessionRepositoryRef `json:"repo,omitzero"`
	// Repos are all repositories, where there are several.
	Repos []SessionRepositoryRef `json:"repos,omitzero"`
	// WorkspaceID is the workspace to start from.
	WorkspaceID string `json:"workspaceId,omitzero"`
	// ProjectID is the project that owns the sandbox.
	ProjectID string `json:"projectId,omitzero"`
	// Runtime is the name of the runtime, such as "bun:1" or "python:3.14".
	Runtime string `json:"runtime,omitzero"`
	// RuntimeID is the id of the runtime.
	RuntimeID string `json:"runtimeId,omitzero"`
	// Name is the name of the sandbox.
	Name string `json:"name,omitzero"`
	// Description describes the sandbox.
	Description string `json:"description,omitzero"`
	// Resources limits the sandbox.
	Resources *SandboxResources `json:"resources,omitzero"`
	// Env are environment variables of the runtime.
	Env map[string]string `json:"env,omitzero"`
	// Network is the network of the sandbox.
	Network *SandboxNetworkConfig `json:"network,omitzero"`
	// Stream says where its output goes.
	Stream *SandboxStreamConfig `json:"stream,omitzero"`
	// Timeout limits how long it lives.
	Timeout *SandboxTimeoutConfig `json:"timeout,omitzero"`
	// Command is its first command.
	Command *SandboxCommand `json:"command,omitzero"`
	// Files are placed in it.
	Files []FileToWrite `json:"files,omitzero"`
	// Snapshot is the id or tag of a snapshot to start from.
	Snapshot string `json:"snapshot,omitzero"`
	// Dependencies are APT packages to install.
	Dependencies []string `json:"dependencies,omitzero"`
	// Packages are npm packages to install globally.
	Packages []string `json:"packages,omitzero"`
	// Metadata is free, and can be searched. Values other than strings may not be supported by
	// every Hub.
	Metadata map[string]any `json:"metadata,omitzero"`
	// Scopes are permissions on services, such as "services:read".
	Scopes []string `json:"scopes,omitzero"`
}

// SessionLoopConfig configures the loop mode of a session.
type SessionLoopConfig struct {
	// Goal is what the loop works towards.
	Goal string `json:"goal,omitzero"`
	// MaxIterations ends the loop at the latest.
	MaxIterations *int `json:"maxIterations,omitzero"`
	// AutoContinue starts the next iteration by itself.
	AutoContinue *bool `json:"autoContinue,omitzero"`
	// AllowDetached keeps the loop going while nobody is attached.
	AllowDetached *bool `json:"allowDetached,omitzero"`
}

// CreateSessionResponse is a session that was just created.
type CreateSessionResponse struct {
	// SessionID is the id of the session, as all methods want it.
	SessionID string `json:"sessionId"`
	// Status is the first status, usually "creating".
	Status string `json:"status"`
	// SandboxID is the id of the sandbox; null while there is none.
	SandboxID Nullable[string] `json:"sandboxId,omitzero"`
	// Mode says where the session runs.
	Mode SessionMode `json:"mode,omitzero"`
	// Visibility says who may see it.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *CreateSessionResponse) problem() error { return missingText("sessionId", r.SessionID) }

// CreateSession creates a session and starts it on its task.
//
// It is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the session may exist. A task that is blank is a [*ValidationError].
//
// POST /hub/session
func (c *Client) CreateSession(ctx context.Context, body CreateSessionRequest) (*CreateSessionResponse, error) {
	return call[CreateSessionResponse](ctx, c, createSession("CreateSession", &body))
}

func createSession(op string, body *CreateSessionRequest) *request {
	r := create(op, "/hub/session", body).require("task", body.Task)
	for i, file := range body.Files {
		r.require(fmt.Sprintf("files[%d].path", i), file.Path)
	}
	return r
}

// FileToWrite is a file that is placed in the sandbox of a session.
type FileToWrite struct {
	// Path is relative to the workspace.
	Path string `json:"path"`
	// Content is the content, any bytes. It travels as base64.
	Content []byte `json:"content"`
}

// SandboxResources limits a sandbox.
type SandboxResources struct {
	// Memory is a quantity such as "500Mi" or "1Gi".
	Memory string `json:"memory,omitzero"`
	// CPU is in millicores, such as "500m".
	CPU string `json:"cpu,omitzero"`
	// Disk is a quantity such as "4Gi".
	Disk string `json:"disk,omitzero"`
}

// SandboxNetworkConfig is the network of a sandbox.
type SandboxNetworkConfig struct {
	// Enabled allows outbound connections. Default: the Hub's, which is no.
	Enabled *bool `json:"enabled,omitzero"`
	// Port is a port to expose, by convention 1024 to 65535.
	Port *int `json:"port,omitzero"`
}

// SandboxStreamConfig says where the output of a sandbox goes.
type SandboxStreamConfig struct {
	// Stdout is a stream id, or "ignore".
	Stdout string `json:"stdout,omitzero"`
	// Stderr is a stream id, or "ignore".
	Stderr string `json:"stderr,omitzero"`
	// Stdin is a stream id.
	Stdin string `json:"stdin,omitzero"`
	// Timestamps adds the time to each line. Default: the Hub's, which is yes.
	Timestamps *bool `json:"timestamps,omitzero"`
}

// SandboxTimeoutConfig limits how long a sandbox lives. The values are durations such as "10m" or
// "24h".
type SandboxTimeoutConfig struct {
	// Idle is the time without activity after which it is paused.
	Idle string `json:"idle,omitzero"`
	// Execution is the longest time a command may take.
	Execution string `json:"execution,omitzero"`
	// Paused is how long a paused one is kept; "0" is without limit.
	Paused string `json:"paused,omitzero"`
}

// SandboxCommandMode says what becomes of a sandbox when its first command ends. Unknown values
// are kept as they came.
type SandboxCommandMode string

// The command modes.
const (
	SandboxOneshot     SandboxCommandMode = "oneshot"     // it is destroyed
	SandboxInteractive SandboxCommandMode = "interactive" // it stays
)

// SandboxCommand is the first command of a sandbox.
type SandboxCommand struct {
	// Exec is the program and its arguments. Required.
	Exec []string `json:"exec"`
	// Files are placed before it runs.
	Files []FileToWrite `json:"files,omitzero"`
	// Mode says what becomes of the sandbox afterwards.
	Mode SandboxCommandMode `json:"mode,omitzero"`
}
