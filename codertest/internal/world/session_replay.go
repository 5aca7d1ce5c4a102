package world

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Entry is an entry of the conversation as it is made. Members are added to those
// the Hub gives it, or replace them.
type Entry struct {
	Type, Agent, Content string
	Time                 time.Time // zero: now
	Members              map[string]any
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

// AddEntries appends to the conversation.
func (s *Session) AddEntries(entries []Entry) {
	s.change(func(now time.Time) {
		for _, e := range entries {
			s.addEntry(e, now)
		}
	})
}

func (s *Session) addEntry(e Entry, now time.Time) {
	entry := replayEntry{
		Type:      e.Type,
		Agent:     e.Agent,
		Content:   e.Content,
		Sequence:  len(s.entries) + 1,
		Timestamp: orNow(e.Time, now).UnixMilli(),
	}
	if len(e.Members) > 0 {
		entry.members = make(map[string]jsontext.Value)
		for name, value := range e.Members {
			entry.members[name] = freeze(value)
		}
	}
	if e.Type == "user_prompt" {
		entry.Author = &entryAuthor{UserID: s.owner.UserID, DisplayName: s.owner.Name, ActorType: "user"}
	}
	s.entries = append(s.entries, entry)
	s.activeAt = now
}

// answer is the entry as it is sent.
func (e replayEntry) answer() any {
	if len(e.members) == 0 {
		return e
	}
	return override(e, e.members)
}

// replay answers with the oldest entry first. The counts are of all pages.
func (all *sessions) replay(c *Call) (any, error) {
	limit, offset, err := c.queryPage()
	if err != nil {
		return nil, err
	}
	s, err := all.find(c.ID)
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
		replay.Entries = append(replay.Entries, entry.answer())
	}
	return replay, nil
}
