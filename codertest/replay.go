package codertest

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// ReplayEntry is one entry of a session's conversation.
type ReplayEntry struct {
	// Type is user_prompt, message, thinking, tool_call, tool_result,
	// task_result, runtime_status, runtime_output, runtime_preview or turn.
	Type string
	// Agent is the agent that speaks, if any.
	Agent string
	// Content is the text.
	Content string
	// Members are further members of the entry, such as toolName or turnId.
	// They replace those the Hub gives the entry by itself.
	Members map[string]any
}

type replayEntry struct {
	Type      string       `json:"type"`
	Agent     string       `json:"agent,omitzero"`
	Content   string       `json:"content,omitzero"`
	Author    *entryAuthor `json:"author,omitzero"`
	Sequence  int          `json:"sequence"`
	Timestamp int64        `json:"timestamp"`

	members map[string]jsontext.Value
}

type entryAuthor struct {
	UserID      string `json:"userId"`
	DisplayName string `json:"displayName"`
	ActorType   string `json:"actorType"`
}

type sessionReplay struct {
	SessionID     string       `json:"sessionId"`
	EntriesSource string       `json:"entriesSource"`
	SourceCounts  sourceCounts `json:"sourceCounts"`
	Entries       []any        `json:"entries"`
}

type sourceCounts struct {
	DurableStream  int `json:"durableStream"`
	SessionEntries int `json:"sessionEntries"`
	EventHistory   int `json:"eventHistory"`
}

func (s *session) addEntry(e ReplayEntry, now time.Time) {
	entry := replayEntry{
		Type:      e.Type,
		Agent:     e.Agent,
		Content:   e.Content,
		Sequence:  len(s.entries) + 1,
		Timestamp: now.UnixMilli(),
	}
	if len(e.Members) > 0 {
		entry.members = make(map[string]jsontext.Value)
		for name, value := range e.Members {
			entry.members[name] = freeze(value)
		}
	}
	if e.Type == "user_prompt" {
		entry.Author = &entryAuthor{UserID: owner.UserID, DisplayName: owner.Name, ActorType: "user"}
	}
	s.entries = append(s.entries, entry)
	s.activeAt = now
}

// wire is the entry as it travels.
func (e replayEntry) wire() any {
	if len(e.members) == 0 {
		return e
	}
	return override(e, e.members)
}

// getReplay answers oldest first; the counts are those before paging.
func (h *Hub) getReplay(c *call) (any, error) {
	limit, offset, err := c.queryPage()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	replay := sessionReplay{
		SessionID:     s.id,
		EntriesSource: "session_entries",
		SourceCounts:  sourceCounts{SessionEntries: len(s.entries), EventHistory: len(s.events)},
	}
	if len(s.entries) == 0 {
		replay.EntriesSource = "none"
	}
	for _, entry := range page(s.entries, limit, offset) {
		replay.Entries = append(replay.Entries, entry.wire())
	}
	return replay, nil
}
