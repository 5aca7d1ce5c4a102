package coder

// CustomAgentThinkingLevel is how much a model thinks before it answers. Unknown values are kept
// as they came.
type CustomAgentThinkingLevel string

// The thinking levels.
const (
	ThinkingOff     CustomAgentThinkingLevel = "off"
	ThinkingMinimal CustomAgentThinkingLevel = "minimal"
	ThinkingLow     CustomAgentThinkingLevel = "low"
	ThinkingMedium  CustomAgentThinkingLevel = "medium"
	ThinkingHigh    CustomAgentThinkingLevel = "high"
	ThinkingXHigh   CustomAgentThinkingLevel = "xhigh"
)

// CustomAgentTool is a tool on the files of a session. Unknown values are kept as they came.
type CustomAgentTool string

// The tools on files.
const (
	ToolRead  CustomAgentTool = "read"
	ToolLs    CustomAgentTool = "ls"
	ToolFind  CustomAgentTool = "find"
	ToolGrep  CustomAgentTool = "grep"
	ToolBash  CustomAgentTool = "bash"
	ToolWrite CustomAgentTool = "write"
	ToolEdit  CustomAgentTool = "edit"
)

// CustomAgentServiceTool is a tool of the Hub. Unknown values are kept as they came.
type CustomAgentServiceTool string
