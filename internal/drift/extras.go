package drift

import (
	"reflect"

	"github.com/agentuity/coder-go"
)

// extras returns the members that Hubs and agents are known to send and that a struct has no field for: the library
// reads them on demand, or leaves them unread. They are no drift.
func (s *shapes) extras(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[coder.Session](): // methods of Session decode these when they are asked
		return object{
			"usage": shape[coder.SessionUsage](s), "tasks": shape[[]coder.SessionTaskState](s),
			"agentActivity": shape[map[string]coder.SessionAgentActivity](s), "workers": shape[[]coder.SessionListItem](s),
			"stream": shape[coder.SessionStreamProjection](s), "context": shape[coder.SessionRuntimeContext](s),
			"error": text, "observed": shape[coder.SessionObserved](s), "diagnostics": shape[coder.SessionDiagnostics](s),
			"product": shape[coder.SessionProduct](s), "participants": shape[[]coder.SnapshotParticipant](s),
			"streamId": orNull(text), "streamUrl": orNull(text),
			"loop": shape[coder.SessionLoopState](s), // which GetLoopState reads
		}
	case reflect.TypeFor[coder.SessionLoopState](): // the Hub's terminal program knows more of a loop than its client
		return object{
			"workflowMode": shape[coder.WorkflowMode](s), "blockers": listOf(text), "recoveryAttempts": number,
			"awaitingUser": boolean, "coordinationJobId": text, "currentWaveId": text, "currentWaveLabel": text,
			"lastCheckpointSummary": text, "lastError": text,
		}
	case reflect.TypeFor[coder.LifecycleResponse](): // ResumeSession looks for a refusal
		return object{"resumed": boolean, "error": text}
	case reflect.TypeFor[coder.RPCCommandErrorMessage](): // the type of the command that failed
		return object{"command": text}
	case reflect.TypeFor[coder.SessionRepositoryRef](): // what the Hub's command-line program sends of GitHub comes back
		return object{
			"private": boolean, "htmlUrl": text, "accountId": text, "accountName": text, "accountType": text,
			"accountAvatarUrl": text,
		}
	}
	return s.agentExtras(t)
}

// agentMembers are those that any event of an agent may have.
var agentMembers = object{"type": text, "agentRole": text, "agent": text, "agentName": text, "timestamp": number}

// agentExtras returns what the agent was recorded to say, versions 0.74.2 and 1.6.0, and the library leaves unread.
func (s *shapes) agentExtras(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[coder.AgentMessage]():
		return object{
			"api": text, "responseId": text, "rawStopReason": text, "thinkingLevel": text, "durationMs": number,
			"details": free, "sections": freeObject, "toolsAdded": listOf(free),
			"summary": text, "tokensBefore": number, // of the role compactionSummary
		}
	case reflect.TypeFor[coder.ContentBlock](): // of a call that is being written
		return object{"partialArgs": text, "streamIndex": number}
	case reflect.TypeFor[coder.SessionStart](): // the Hub sends an event of this name too
		return object{"origin": text}
	case reflect.TypeFor[coder.AgentCost]():
		return object{"totalFromProvider": boolean}
	case reflect.TypeFor[coder.RPCModel]():
		return object{"baseUrl": text, "cost": mapOf(number), "input": listOf(text)}
	case reflect.TypeFor[coder.Compaction](): // some only in the entry that the extension reports
		return object{
			"details": free, "firstKeptEntryId": text,
			"type": text, "id": text, "parentId": text, "timestamp": instant, "fromHook": boolean,
		}
	case reflect.TypeFor[coder.BeforeAgentStart]():
		return object{"messageType": text, "systemPromptOptions": freeObject}
	case reflect.TypeFor[coder.TurnEnd]():
		return object{
			"context": freeObject, "continue": boolean, "entries": listOf(free), "messageEntryId": text,
			"toolResultEntryIds": listOf(text),
		}
	case reflect.TypeFor[coder.AgentProgress]():
		return object{"tokens": mapOf(number)}
	case reflect.TypeFor[coder.SessionBeforeCompact]():
		return object{"preparation": freeObject, "branchEntries": listOf(free)}
	case reflect.TypeFor[coder.SessionCompact]():
		return object{"fromExtension": boolean}
	}
	return nil
}
