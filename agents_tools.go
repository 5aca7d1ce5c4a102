package coder

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

// The tools of the Hub.
const (
	ServiceToolSessionDashboard     CustomAgentServiceTool = "session_dashboard"
	ServiceToolMemoryServiceSearch  CustomAgentServiceTool = "memory_service_search"
	ServiceToolMemoryServiceStore   CustomAgentServiceTool = "memory_service_store"
	ServiceToolMemoryServiceGet     CustomAgentServiceTool = "memory_service_get"
	ServiceToolMemoryServiceUpdate  CustomAgentServiceTool = "memory_service_update"
	ServiceToolMemoryServiceDelete  CustomAgentServiceTool = "memory_service_delete"
	ServiceToolMemoryServiceList    CustomAgentServiceTool = "memory_service_list"
	ServiceToolMemoryServiceSchema  CustomAgentServiceTool = "memory_service_schema"
	ServiceToolMemoryServiceFacets  CustomAgentServiceTool = "memory_service_facets"
	ServiceToolContext7Search       CustomAgentServiceTool = "context7_search"
	ServiceToolGrepAppSearch        CustomAgentServiceTool = "grep_app_search"
	ServiceToolWebSearch            CustomAgentServiceTool = "web_search"
	ServiceToolFetchContent         CustomAgentServiceTool = "fetch_content"
	ServiceToolProductPRDCreate     CustomAgentServiceTool = "product_prd_create"
	ServiceToolProductPRDGet        CustomAgentServiceTool = "product_prd_get"
	ServiceToolProductPRDUpdate     CustomAgentServiceTool = "product_prd_update"
	ServiceToolProductPRDList       CustomAgentServiceTool = "product_prd_list"
	ServiceToolProductTaskComment   CustomAgentServiceTool = "product_task_comment"
	ServiceToolSessionTodoCreate    CustomAgentServiceTool = "session_todo_create"
	ServiceToolSessionTodoUpdate    CustomAgentServiceTool = "session_todo_update"
	ServiceToolSessionTodoList      CustomAgentServiceTool = "session_todo_list"
	ServiceToolSessionTodoComment   CustomAgentServiceTool = "session_todo_comment"
	ServiceToolSessionTodoAttach    CustomAgentServiceTool = "session_todo_attach"
	ServiceToolProductGenerateDeck  CustomAgentServiceTool = "product_generate_deck"
	ServiceToolSandboxExec          CustomAgentServiceTool = "sandbox_exec"
	ServiceToolLoopGetState         CustomAgentServiceTool = "loop_get_state"
	ServiceToolLoopUpdateState      CustomAgentServiceTool = "loop_update_state"
	ServiceToolCoordCreateJob       CustomAgentServiceTool = "coord_create_job"
	ServiceToolCoordAddTask         CustomAgentServiceTool = "coord_add_task"
	ServiceToolCoordClaimTask       CustomAgentServiceTool = "coord_claim_task"
	ServiceToolCoordCompleteTask    CustomAgentServiceTool = "coord_complete_task"
	ServiceToolCoordFailTask        CustomAgentServiceTool = "coord_fail_task"
	ServiceToolCoordListTasks       CustomAgentServiceTool = "coord_list_tasks"
	ServiceToolCoordJobStatus       CustomAgentServiceTool = "coord_job_status"
	ServiceToolCoordReserveFile     CustomAgentServiceTool = "coord_reserve_file"
	ServiceToolCoordReleaseFile     CustomAgentServiceTool = "coord_release_file"
	ServiceToolCoordProvideContract CustomAgentServiceTool = "coord_provide_contract"
	ServiceToolCoordCheckContract   CustomAgentServiceTool = "coord_check_contract"
	ServiceToolCoordSendMessage     CustomAgentServiceTool = "coord_send_message"
	ServiceToolCoordReadMessages    CustomAgentServiceTool = "coord_read_messages"
	ServiceToolCoordHeartbeat       CustomAgentServiceTool = "coord_heartbeat"
	ServiceToolCoordSpawnWorkers    CustomAgentServiceTool = "coord_spawn_workers"
)
