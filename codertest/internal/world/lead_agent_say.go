package world

import (
	"fmt"
	"slices"
	"time"
)

// newer reports whether the agent behaves as version 1.6.0.
func (a *ownAgent) newer() bool { return a.session.world.config.AgentVersion == AgentVersionNew }

// extension reports whether the agent speaks as its extension in a terminal does,
// and not in its RPC mode.
func (a *ownAgent) extension() bool { return a.session.world.config.AgentExtension }

// say reports an event as a program that leads would.
func (a *ownAgent) say(event string, members map[string]any, now time.Time) {
	if members == nil {
		members = make(map[string]any)
	}
	members["type"] = event
	if a.extension() {
		members["agentRole"] = a.session.agentName()
		a.sayEvent(event, members, now)
		return
	}
	said := Encode(members)
	a.report(now, func(now time.Time) { a.session.leadRPCEvent(roleLead, said, now) })
}

// sayEvent reports an event as the extension does.
func (a *ownAgent) sayEvent(event string, members map[string]any, now time.Time) {
	said := Encode(members)
	a.report(now, func(now time.Time) { a.session.leadEvent(roleLead, event, said, now) })
}

func (a *ownAgent) sayInRPC(event string, members map[string]any, now time.Time) {
	if !a.extension() {
		a.say(event, members, now)
	}
}

func (a *ownAgent) sayInExtension(event string, members map[string]any, now time.Time) {
	if a.extension() {
		a.say(event, members, now)
	}
}

// sayBefore reports that the agent begins with a prompt.
func (a *ownAgent) sayBefore(p prompt, now time.Time) {
	before := map[string]any{
		"prompt": p.text, "systemPrompt": systemPrompt, "systemPromptOptions": map[string]any{},
	}
	if a.newer() {
		before["messageType"] = "user"
	}
	a.sayInExtension("before_agent_start", before, now)
}

// sayTask reports an event of a sub-agent. The extension reports it in either
// dialect.
func (a *ownAgent) sayTask(event, id string, members map[string]any, now time.Time) {
	members["taskId"] = id
	members["agentRole"] = a.session.agentName()
	a.sayEvent(event, members, now)
}

func (a *ownAgent) saySettled(aborted bool, now time.Time) {
	if a.newer() {
		a.sayInRPC("agent_settled", map[string]any{"aborted": aborted}, now)
	}
}

func (a *ownAgent) sayQueue(now time.Time) {
	a.sayInRPC("queue_update", map[string]any{"steering": texts(a.steering), "followUp": texts(a.followUps)}, now)
}

func texts(queue []prompt) []string {
	all := make([]string, len(queue))
	for i, p := range queue {
		all[i] = p.text
	}
	return all
}

// sayContext reports what the model is sent.
func (a *ownAgent) sayContext(added []*agentMessage, now time.Time) {
	sent := slices.Concat(a.messages, added)
	sent = slices.DeleteFunc(sent, func(m *agentMessage) bool { return m.Role == roleSystem })
	a.sayInExtension("context", map[string]any{"messages": sent}, now)
}

func (a *ownAgent) sayTurnStart(now time.Time) {
	if a.extension() {
		a.say("turn_start", map[string]any{"turnIndex": a.turn.index, "timestamp": now.UnixMilli()}, now)
		return
	}
	a.say("turn_start", nil, now)
}

func (a *ownAgent) sayTurnEnd(now time.Time) {
	t := &a.turn
	end := map[string]any{"message": t.message, "toolResults": t.results}
	if a.extension() {
		end["turnIndex"] = t.index
	}
	if a.extension() && a.newer() {
		ids := make([]string, len(t.results))
		for i, m := range t.results {
			ids[i] = m.entry
		}
		end["messageEntryId"], end["toolResultEntryIds"] = t.message.entry, ids
		end["outcome"] = "completed"
		switch t.message.StopReason {
		case stopError, stopAborted:
			end["outcome"] = t.message.StopReason
		}
		end["entries"], end["continue"] = []any{}, false
		end["context"] = map[string]any{
			"contextEntries": []any{}, "contextMessages": a.messages, "llmMessages": a.messages,
			"pendingMessages": []any{}, "canContinue": false,
		}
	}
	a.say("turn_end", end, now)
}

func (a *ownAgent) sayAgentEnd(again bool, now time.Time) {
	end := map[string]any{"messages": a.ran}
	if a.newer() && !a.extension() {
		end["willRetry"] = again
	}
	a.say("agent_end", end, now)
}

// sayMessage reports a message that is whole at once.
func (a *ownAgent) sayMessage(m *agentMessage, now time.Time) {
	a.say("message_start", map[string]any{"message": m}, now)
	a.sayMessageEnd(m, now)
}

// sayMessageEnd reports that a message is whole, and remembers it.
func (a *ownAgent) sayMessageEnd(m *agentMessage, now time.Time) {
	m.entry = a.entryID()
	a.messages = append(a.messages, m)
	a.ran = append(a.ran, m)
	a.say("message_end", map[string]any{"message": m}, now)
}

// sayOpenMessage reports an event of the message that is being said.
func (a *ownAgent) sayOpenMessage(event string, members map[string]any, now time.Time) {
	if members == nil {
		members = make(map[string]any)
	}
	members["message"] = a.turn.message
	a.say(event, members, now)
}

// sayUpdate reports a piece of a message. The newer version's RPC mode reports the
// piece only.
func (a *ownAgent) sayUpdate(kind string, piece map[string]any, now time.Time) {
	m := a.turn.message
	update := map[string]any{"type": kind, "contentIndex": len(m.Content) - 1}
	for name, value := range piece {
		update[name] = value
	}
	if a.newer() && !a.extension() {
		a.say("message_update", map[string]any{"assistantMessageEvent": update, "usage": m.Usage}, now)
		return
	}
	update["partial"] = m
	a.sayOpenMessage("message_update", map[string]any{"assistantMessageEvent": update}, now)
}

func (a *ownAgent) entryID() string {
	a.entries++
	return fmt.Sprintf("%08x", a.entries)
}
