package coder_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// constants returns the values of the constants of each type, read from the source of the package.
func constants(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	values := make(map[string][]string)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !spec.Names[0].IsExported() {
				return true
			}
			kind, ok := spec.Type.(*ast.Ident)
			literal, isLiteral := spec.Values[0].(*ast.BasicLit)
			if ok && isLiteral && literal.Kind == token.STRING {
				value, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				values[kind.Name] = append(values[kind.Name], value)
			}
			return true
		})
	}
	return values
}

// TestEnumerations compares the constants with the words of the Hub.
func TestEnumerations(t *testing.T) {
	got := constants(t)
	for kind, want := range map[string]string{
		"SessionVisibility":         "private organization collaborate",
		"WorkflowMode":              "standard loop",
		"SessionMode":               "sandbox tui",
		"SessionBucket":             "running paused provisioning history",
		"LoopStatus":                "idle starting running paused completed cancelled blocked awaiting_input failed",
		"WorkspaceScope":            "user org",
		"WorkspaceSystemPromptMode": "append overwrite",
		"CustomAgentThinkingLevel":  "off minimal low medium high xhigh",
		"CustomAgentTool":           "read ls find grep bash write edit",
		"CustomAgentLifecycle":      "draft published archived",
		"CustomAgentVisibility":     "org private_draft",
		"AgentBuilderSessionMode":   "new edit from_session",
		"AgentBuilderActionKind":    "create_draft update_draft publish",
		"AgentBuilderActionStatus":  "completed failed",
		"SandboxCommandMode":        "oneshot interactive",
		"SessionStatus": `creating provisioning active running connected paused resuming archived shutdown stopped
			error failed`,
		"SessionTodoStatus":   "open in_progress done closed cancelled",
		"ReplayEntriesSource": "durable_stream session_entries event_history none",
		"EventCategory":       "session presence rpc agent turn tool runtime task message thinking loop coord",
		"CustomAgentServiceTool": `session_dashboard
			memory_service_search memory_service_store memory_service_get memory_service_update
			memory_service_delete memory_service_list memory_service_schema memory_service_facets
			context7_search grep_app_search web_search fetch_content
			product_prd_create product_prd_get product_prd_update product_prd_list product_task_comment
			session_todo_create session_todo_update session_todo_list session_todo_comment session_todo_attach
			product_generate_deck sandbox_exec loop_get_state loop_update_state
			coord_create_job coord_add_task coord_claim_task coord_complete_task coord_fail_task coord_list_tasks
			coord_job_status coord_reserve_file coord_release_file coord_provide_contract coord_check_contract
			coord_send_message coord_read_messages coord_heartbeat coord_spawn_workers`,
		"EventName": `session_start session_complete session_error session_shutdown session_before_compact
			session_compact session_join session_leave session_label_updated
			presence_update rpc_ready
			agent_start agent_end agent_progress before_agent_start
			turn_start turn_end
			tool_call tool_result tool_execution_start tool_execution_end tool_execution_update
			runtime_process_start runtime_process_output runtime_process_error runtime_process_stop
			runtime_preview_available
			task_start task_complete task_error
			message_start message_update message_end
			thinking_start thinking_end
			loop_state_updated loop_started loop_resumed loop_paused loop_blocked loop_completed loop_cancelled
			coord_job_created coord_job_completed coord_job_failed coord_task_ready coord_task_claimed
			coord_task_completed coord_task_failed coord_task_discovered coord_file_reserved coord_file_released
			coord_file_conflict coord_contract_provided coord_worker_joined
			user_prompt input context queue_update agent_settled auto_retry_start auto_retry_end
			compaction_start compaction_end session_before_switch entry_appended extension_error`,
	} {
		assert.Equal(t, strings.Fields(want), got[kind], kind)
	}
	assert.Len(t, got["CustomAgentServiceTool"], 42)
	assert.Len(t, got["EventName"], 55+12, "the Hub's catalogue, and what the agent was recorded to send beyond it")
}

// TestEventName_IsAString: they compare with what the Hub sends and go where strings are wanted.
func TestEventName_IsAString(t *testing.T) {
	e := coder.SessionEvent{Event: "turn_end", Category: "turn"}
	assert.True(t, e.Event == coder.EventTurnEnd && e.Category == coder.EventCategoryTurn)
	assert.Contains(t, []string{coder.EventSessionShutdown, coder.EventTurnEnd}, e.Event)
}

// TestEnumerations_OfLiveConnections compares the constants with the words of the Hub.
func TestEnumerations_OfLiveConnections(t *testing.T) {
	got := constants(t)
	for kind, want := range map[string]string{
		"HubRole":                "lead controller observer sub_agent",
		"HubConnState":           "connecting authenticating connected reconnecting closed",
		"AgentDefinitionStatus":  "available busy offline",
		"NotifyLevel":            "info warning error",
		"SystemPromptActionMode": "replace prefix suffix",
		"RPCUIMethod":            "select confirm input editor notify setStatus setWidget setTitle set_editor_text",
		"RPCCommandType":         "prompt steer follow_up abort get_state get_messages compact",
		"RPCDisposition":         "started queued handled",
		"StreamingBehavior":      "followUp steer",
		"StopReason":             "stop length toolUse error aborted",
		"BlockType":              "text thinking toolCall image",
		"UpdateKind":             "text thinking toolcall",
		"UpdatePhase":            "start delta end",
	} {
		assert.Equal(t, strings.Fields(want), got[kind], kind)
	}
	for _, method := range got["RPCUIMethod"] {
		assert.Equal(t, strings.Contains("select confirm input editor", method), coder.RPCUIMethod(method).Answered(), method)
	}
}
