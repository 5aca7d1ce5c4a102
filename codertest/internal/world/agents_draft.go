package world

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// agentRequest creates or updates an agent. What is nil was not sent. The
// members of type jsontext.Value may also be sent as null.
type agentRequest struct {
	Slug               *string        `json:"slug"`
	DisplayName        *string        `json:"displayName"`
	Instructions       *string        `json:"instructions"`
	Description        jsontext.Value `json:"description"`
	Model              jsontext.Value `json:"model"`
	ThinkingLevel      jsontext.Value `json:"thinkingLevel"`
	HeadlessCompatible *bool          `json:"headlessCompatible"`
	Tools              *[]string      `json:"tools"`
	ServiceTools       *[]string      `json:"serviceTools"`
	SavedSkillIDs      *[]string      `json:"savedSkillIds"`
	CompanionAgents    *[]string      `json:"companionAgents"`
}

var agentTools = strings.Fields("read ls find grep bash write edit")

var agentServiceTools = strings.Fields(`
	session_dashboard
	memory_service_search memory_service_store memory_service_get memory_service_update memory_service_delete
	memory_service_list memory_service_schema memory_service_facets
	context7_search grep_app_search web_search fetch_content
	product_prd_create product_prd_get product_prd_update product_prd_list product_task_comment
	session_todo_create session_todo_update session_todo_list session_todo_comment session_todo_attach
	product_generate_deck sandbox_exec loop_get_state loop_update_state
	coord_create_job coord_add_task coord_claim_task coord_complete_task coord_fail_task coord_list_tasks
	coord_job_status coord_reserve_file coord_release_file coord_provide_contract coord_check_contract
	coord_send_message coord_read_messages coord_heartbeat coord_spawn_workers`)

// redraft returns the draft as the request changes it.
func (all *agents) redraft(draft agentSnapshot, req *agentRequest) (agentSnapshot, error) {
	if err := all.freeSlug(draft.Slug, req.Slug); err != nil {
		return draft, err
	}
	replace(&draft.Slug, req.Slug)
	replace(&draft.DisplayName, req.DisplayName)
	replace(&draft.Instructions, req.Instructions)
	replace(&draft.HeadlessCompatible, req.HeadlessCompatible)
	replace(&draft.Tools, req.Tools)
	replace(&draft.ServiceTools, req.ServiceTools)
	replace(&draft.CompanionAgents, req.CompanionAgents)
	for _, patch := range []struct {
		member string
		text   *string
		sent   jsontext.Value
	}{
		{"description", &draft.Description, req.Description},
		{"model", &draft.Model, req.Model},
		{"thinkingLevel", &draft.ThinkingLevel, req.ThinkingLevel},
	} {
		if err := replaceOrClear(patch.member, patch.text, patch.sent); err != nil {
			return draft, err
		}
	}
	if req.SavedSkillIDs != nil {
		refs, err := all.skills.refs(nil, *req.SavedSkillIDs, nil)
		if err != nil {
			return draft, err
		}
		draft.SavedSkills = refs
	}
	err := draft.check()
	return draft, err
}

// replaceOrClear sets a text to what was sent; null clears it.
func replaceOrClear(member string, text *string, sent jsontext.Value) error {
	if sent == nil {
		return nil
	}
	*text = ""
	if err := json.Unmarshal(sent, text, wireFormat); err != nil {
		return invalid("The request member /" + member + " has the wrong type")
	}
	return nil
}

// freeSlug refuses a slug by which another agent is found.
func (all *agents) freeSlug(own string, wanted *string) error {
	if wanted == nil || *wanted == own {
		return nil
	}
	if _, err := all.find(*wanted); err == nil {
		return slugTaken(*wanted)
	}
	return nil
}

func (s *agentSnapshot) check() error {
	err := required("slug", s.Slug, "displayName", s.DisplayName, "instructions", s.Instructions)
	if err != nil {
		return err
	}
	if err := oneOf("thinkingLevel", s.ThinkingLevel, "off", "minimal", "low", "medium", "high", "xhigh"); err != nil {
		return err
	}
	if err := subset("tools", s.Tools, agentTools); err != nil {
		return err
	}
	return subset("serviceTools", s.ServiceTools, agentServiceTools)
}
