package coder

import (
	"context"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/route"
)

// HubInitParams says for which agent the init message is.
type HubInitParams struct {
	// Agent is the name of an agent other than the lead. Default: the lead, whose name is not sent.
	Agent string
}

// hubInit is an init as it is on the wire.
type hubInit struct {
	Type string `json:"type"`
	HubInitMessage
}

func (i *hubInit) problem() error {
	if err := missingText("type", i.Type); err != nil {
		return err
	}
	if i.Type != typeInit {
		return &reason{text: "it is no init, but of type " + quote.Line(i.Type)}
	}
	return nil
}

// HubInit returns the init message that an agent would get if it connected: tools and commands of the Hub, agents,
// the model. It creates no session. SessionID is set only if the Hub names one. Programs that lead a session call it
// before they connect, with a timeout of 5 to 10 s. With nil params the message is for the lead.
//
// The agent's terminal program uses this route. The Hub's REST reference does not list it.
//
// GET /hub/init
func (c *Client) HubInit(ctx context.Context, params *HubInitParams) (*HubInitMessage, error) {
	var q route.Query
	if params != nil && params.Agent != string(RoleLead) {
		q.String("agent", params.Agent)
	}
	out, err := call[hubInit](ctx, c, get("HubInit", "/hub/init").with(&q))
	if err != nil {
		return nil, err
	}
	return &out.HubInitMessage, nil
}

// HubSkillFiles are the files of the skills that a Hub hands to agents.
type HubSkillFiles struct {
	// OK is always true: a response with false is an error. Count is the number of Skills, as the Hub counts.
	OK    bool `json:"ok"`
	Count int  `json:"count"`
	// Skills may be empty.
	Skills []HubSkillFile `json:"skills"`
}

// HubSkillFile is a file of a skill.
type HubSkillFile struct {
	// Path is relative to the directory of the project, with slashes. It comes from outside: do not write to a path
	// that is not [path/filepath.IsLocal], or has a NUL byte.
	Path string `json:"path"`
	// Content is the text of the file.
	Content string `json:"content"`
}

func (f *HubSkillFiles) problem() error {
	return missingIn("skills", f.Skills, "path", func(f *HubSkillFile) string { return f.Path })
}

// HubSkills returns the skills that the Hub hands to every agent, as files to write into the directory of a project.
// [Client.ListSavedSkills] returns the caller's own library.
//
// The agent's terminal program uses this route. The Hub's REST reference does not list it.
//
// GET /hub/skills
func (c *Client) HubSkills(ctx context.Context) (*HubSkillFiles, error) {
	return call[HubSkillFiles](ctx, c, get("HubSkills", "/hub/skills"))
}
