package coder

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
	CommandOneshot     SandboxCommandMode = "oneshot"     // it is destroyed
	CommandInteractive SandboxCommandMode = "interactive" // it stays
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
