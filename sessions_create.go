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

	// DefaultAgent is the id of the agent that prompts go to; a custom agent must have been published.
	// Agent is the older name of the same thing: DefaultAgent wins if both are given.
	Agent        string `json:"agent,omitzero"`
	DefaultAgent string `json:"defaultAgent,omitzero"`

	// Visibility says who may see the session. Default: the Hub's, which is private.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// WorkflowMode says how the session works on its task. Default: the Hub's, which is standard.
	WorkflowMode WorkflowMode `json:"workflowMode,omitzero"`
	// Loop has the settings of the loop mode.
	Loop *SessionLoopConfig `json:"loop,omitzero"`
	// Tags are what the session can be filtered by.
	Tags []string `json:"tags,omitzero"`
	// EnabledAgents may take part in the session, custom agents by their slugs once they are published.
	// The lead always does: its name, "lead", is reserved and need not be listed.
	EnabledAgents []string `json:"enabledAgents,omitzero"`

	// Skills to attach: those of the library by [SavedSkill].ID, whole buckets by [SkillBucket].ID, and
	// others without saving them.
	SavedSkillIDs  []string   `json:"savedSkillIds,omitzero"`
	SkillBucketIDs []string   `json:"skillBucketIds,omitzero"`
	Skills         []SkillRef `json:"skills,omitzero"`

	// Repo is the main repository. Repos has all of them, if there are several.
	Repo  *SessionRepositoryRef  `json:"repo,omitzero"`
	Repos []SessionRepositoryRef `json:"repos,omitzero"`

	// WorkspaceID is the workspace to start from, ProjectID the project that owns the sandbox.
	WorkspaceID string `json:"workspaceId,omitzero"`
	ProjectID   string `json:"projectId,omitzero"`

	// Runtime is an image such as "bun:1" or "python:3.14", RuntimeID the id of one. Leave both out unless
	// you know that the image has the driver that sessions need: others may lack it.
	Runtime   string `json:"runtime,omitzero"`
	RuntimeID string `json:"runtimeId,omitzero"`

	// The sandbox: its name, a text about it, and its limits.
	Name        string            `json:"name,omitzero"`
	Description string            `json:"description,omitzero"`
	Resources   *SandboxResources `json:"resources,omitzero"`
	// Env has environment variables for the runtime. They cannot be changed later.
	Env map[string]string `json:"env,omitzero"`
	// Network opens the sandbox to the outside.
	Network *SandboxNetworkConfig `json:"network,omitzero"`
	// Stream says where the output of the sandbox goes.
	Stream *SandboxStreamConfig `json:"stream,omitzero"`
	// Timeout limits how long the sandbox lives.
	Timeout *SandboxTimeoutConfig `json:"timeout,omitzero"`

	// Command runs first in the sandbox. Files are written to the sandbox before.
	Command *SandboxCommand `json:"command,omitzero"`
	Files   []FileToWrite   `json:"files,omitzero"`

	// Snapshot is the id or tag of a snapshot to start from. Dependencies are APT packages to install,
	// Packages npm packages to install globally.
	Snapshot     string   `json:"snapshot,omitzero"`
	Dependencies []string `json:"dependencies,omitzero"`
	Packages     []string `json:"packages,omitzero"`

	// Metadata is for your own use, and can be searched. Some Hubs take only strings as values. A json.Number
	// is sent as a number.
	Metadata map[string]any `json:"metadata,omitzero"`
	// Scopes are permissions on services, such as "services:read".
	Scopes []string `json:"scopes,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// SessionLoopConfig has the settings of a session that works in a loop. Nil leaves a setting to the Hub.
type SessionLoopConfig struct {
	// Goal tells the agent what to reach.
	Goal string `json:"goal,omitzero"`
	// MaxIterations is the number of rounds after which the loop ends.
	MaxIterations *int `json:"maxIterations,omitzero"`
	// AutoContinue begins the next iteration without a prompt.
	AutoContinue *bool `json:"autoContinue,omitzero"`
	// AllowDetached lets the loop go on while no controller is attached.
	AllowDetached *bool `json:"allowDetached,omitzero"`
}

// CreateSessionResponse is a session that was just created. Only SessionID and Status are always set.
type CreateSessionResponse struct {
	// SessionID is the id for every method that takes a session.
	SessionID string `json:"sessionId"`
	// Status is the first status, usually "creating".
	Status string `json:"status"`
	// SandboxID is null while there is no sandbox.
	SandboxID Nullable[string] `json:"sandboxId,omitzero"`
	// Mode says where the session runs.
	Mode SessionMode `json:"mode,omitzero"`
	// Visibility says who may see it.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *CreateSessionResponse) problem() error { return missingText("sessionId", r.SessionID) }

func (r *CreateSessionResponse) namedSession() string { return r.SessionID }

// CreateSession creates a session and starts it on its task.
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
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
	// Path is relative to the workspace. Required.
	Path string `json:"path"`
	// Content may be any bytes. They travel as base64.
	Content []byte `json:"content"`
}

// SandboxResources limits a sandbox. If a limit is empty, that of the Hub holds.
type SandboxResources struct {
	// Memory and Disk are Kubernetes quantities such as "500Mi" or "4Gi", CPU is in millicores, such as
	// "500m".
	Memory string `json:"memory,omitzero"`
	CPU    string `json:"cpu,omitzero"`
	Disk   string `json:"disk,omitzero"`
}

// SandboxNetworkConfig opens a sandbox to the outside.
type SandboxNetworkConfig struct {
	// Enabled allows outbound connections. Default: the Hub's, which is false.
	Enabled *bool `json:"enabled,omitzero"`
	// Port is a port to expose, by convention 1024 to 65535.
	Port *int `json:"port,omitzero"`
}

// SandboxStreamConfig says where the output of a sandbox goes, and where its input comes from.
type SandboxStreamConfig struct {
	// Each is the id of a stream. Stdout and Stderr may also be "ignore".
	Stdout string `json:"stdout,omitzero"`
	Stderr string `json:"stderr,omitzero"`
	Stdin  string `json:"stdin,omitzero"`
	// Timestamps puts the time before each line. Default: the Hub's, which is true.
	Timestamps *bool `json:"timestamps,omitzero"`
}

// SandboxTimeoutConfig limits how long a sandbox lives. The values are durations such as "10m" or
// "24h".
type SandboxTimeoutConfig struct {
	// Idle is the time without activity after which the sandbox is paused.
	Idle string `json:"idle,omitzero"`
	// Execution is the longest time a command may take.
	Execution string `json:"execution,omitzero"`
	// Paused is how long a paused sandbox is kept; "0" means without limit.
	Paused string `json:"paused,omitzero"`
}

// SandboxCommandMode says what happens to a sandbox when its first command ends. Unknown values are kept as
// they came.
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
	// Files are written to the sandbox before the command runs.
	Files []FileToWrite `json:"files,omitzero"`
	// Mode says what happens to the sandbox when the command ends.
	Mode SandboxCommandMode `json:"mode,omitzero"`
}
