package coder_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// reported is a real agent as the Hub hears it, with the extension's events as they were recorded, in the order of a test.
type reported struct {
	t    *testing.T
	lead *coder.HubConn
}

func (r *reported) tell(name string, data map[string]any) {
	r.t.Helper()
	data["type"], data["agentRole"] = name, "lead"
	require.NoError(r.t, r.lead.Send(r.t.Context(), &coder.EventRequest{Event: name, Data: data}))
	synctest.Wait()
}

// hears reports that the agent has heard a prompt, which may have to wait.
func (r *reported) hears(text string) {
	r.t.Helper()
	r.tell("input", map[string]any{"text": text, "source": "extension"})
}

func (r *reported) says(role, text string) {
	r.t.Helper()
	message := map[string]any{"role": role, "content": []any{map[string]any{"type": "text", "text": text}}}
	r.tell("message_start", map[string]any{"message": message})
	if role == "assistant" {
		message["stopReason"] = "stop"
	}
	r.tell("message_end", map[string]any{"message": message})
}

// Somebody steers the agent or queues a prompt, and who connects after that, or looks at the history only from its own
// prompt on, has not heard of it. The answer to it is not that to what is asked next.
func TestHubConn_Ask_QueueThatWasNotHeard(t *testing.T) {
	ways := map[string]func(t *testing.T, client *coder.Client, conn *coder.HubConn, text string) (*coder.Answer, error){
		"Ask": func(t *testing.T, _ *coder.Client, conn *coder.HubConn, text string) (*coder.Answer, error) {
			return conn.Ask(t.Context(), text, nil)
		},
		"Answer": func(t *testing.T, client *coder.Client, conn *coder.HubConn, text string) (*coder.Answer, error) {
			receipt, err := conn.Submit(t.Context(), text)
			if err != nil {
				return nil, err
			}
			return client.Answer(t.Context(), receipt)
		},
	}
	for way, ask := range ways {
		for _, test := range []struct {
			name, asked, said string
			anotherRun        bool // it has its turn in a run of its own
			unknown           bool
		}{
			{name: "in one run", asked: "Our question", said: "Our question"},
			{name: "in a run of its own", asked: "Our question", said: "Our question", anotherRun: true},
			// What a template becomes is known to be ours where nothing else can wait.
			{name: "a template in one run", asked: "/template", said: "As the template says", unknown: true},
			{name: "a template in a run of its own", asked: "/template", said: "As the template says", anotherRun: true},
		} {
			t.Run(way+" "+test.name, func(t *testing.T) {
				bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
					client := hubClient(t, hub)
					lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
					require.NoError(t, err)
					defer lead.Close()
					agent := reported{t, lead}
					agent.tell("session_start", map[string]any{"reason": "startup"})
					agent.tell("agent_start", map[string]any{})
					agent.says("user", "Talk")
					agent.hears("Their question")
					conn, err := client.Connect(t.Context(), lead.SessionID(), &coder.HubConnectOptions{Role: coder.RoleController})
					require.NoError(t, err)
					defer conn.Close()
					var answer *coder.Answer
					done := make(chan struct{})
					go func() {
						defer close(done)
						answer, err = ask(t, client, conn, test.asked)
					}()
					synctest.Wait()
					agent.hears(test.asked)
					agent.says("assistant", "Talked.")
					agent.tell("turn_end", map[string]any{})
					agent.says("user", "Their question")
					agent.says("assistant", "Theirs.")
					ended := map[string]any{"messages": []any{map[string]any{"role": "assistant", "content": "Theirs.", "stopReason": "stop"}}}
					if test.anotherRun {
						agent.tell("agent_end", ended)
						agent.tell("agent_start", map[string]any{})
					}
					agent.says("user", test.said)
					agent.says("assistant", "Ours.")
					agent.tell("agent_end", ended)
					<-done
					if test.unknown {
						require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
						return
					}
					require.NoError(t, err)
					assert.Equal(t, "Ours.", answer.Text)
				}, codertest.WithoutAgent())
			})
		}
	}
}

// TestHubConn_Ask_AfterAnAbort: what an agent is told between its last message that was aborted and the end of the run waits
// for the prompt of somebody else. So the next prompt waits for the end, if that comes.
func TestHubConn_Ask_AfterAnAbort(t *testing.T) {
	for _, ends := range []bool{true, false} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			client := hubClient(t, hub)
			lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
			require.NoError(t, err)
			defer lead.Close()
			agent := reported{t, lead}
			agent.tell("session_start", map[string]any{"reason": "startup"})
			conn, err := client.Connect(t.Context(), lead.SessionID(), &coder.HubConnectOptions{Role: coder.RoleController})
			require.NoError(t, err)
			defer conn.Close()
			prompts := func() (n int) {
				synctest.Wait()
				for _, f := range hub.Session(lead.SessionID()).Frames() {
					if f.Type == "rpc_command" {
						n++
					}
				}
				return n
			}
			done := make(chan error, 2)
			go func() {
				for _, text := range []string{"One", "Two"} {
					_, err := conn.Ask(t.Context(), text, nil)
					done <- err
				}
			}()
			require.Equal(t, 1, prompts())
			agent.hears("One")
			agent.tell("agent_start", map[string]any{})
			agent.says("user", "One")
			aborted := map[string]any{"role": "assistant", "content": []any{}, "stopReason": "aborted"}
			agent.tell("message_start", map[string]any{"message": aborted})
			agent.tell("message_end", map[string]any{"message": aborted})
			require.ErrorIs(t, <-done, coder.ErrAgentAborted)
			require.Equal(t, 1, prompts(), "it would be lost")
			if ends {
				agent.tell("agent_end", map[string]any{"messages": []any{aborted}})
				time.Sleep(time.Second)
			} else {
				time.Sleep(4 * time.Second)
			}
			require.Equal(t, 2, prompts())
			agent.hears("Two")
			agent.tell("agent_start", map[string]any{})
			agent.says("user", "Two")
			agent.says("assistant", "Two it is.")
			require.NoError(t, <-done)
		}, codertest.WithoutAgent())
	}
}

// A question that is asked while the connection is lost, or that is answered then, is answered in the end, once: the Hub
// need not ask again.
func TestHubConn_Ask_QuestionWhileAway(t *testing.T) {
	for _, heard := range []bool{false, true} {
		t.Run(fmt.Sprintf("heard %v", heard), func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				client := hubClient(t, hub)
				lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
				require.NoError(t, err)
				defer lead.Close()
				session, agent := hub.Session(lead.SessionID()), reported{t, lead}
				agent.tell("session_start", map[string]any{"reason": "startup"})
				conn, err := client.Connect(t.Context(), lead.SessionID(), &coder.HubConnectOptions{Role: coder.RoleController})
				require.NoError(t, err)
				defer conn.Close()
				cut := func() {
					list, err := client.ListParticipants(t.Context(), session.ID(), nil)
					require.NoError(t, err)
					for _, p := range list.Participants {
						if p.Role == coder.RoleController {
							session.DisconnectParticipant(p.ID)
						}
					}
				}
				questions, free := 0, make(chan struct{})
				var answer *coder.Answer
				done := make(chan struct{})
				go func() {
					defer close(done)
					answer, err = conn.Ask(t.Context(), "Ask me", &coder.AskOptions{
						OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) {
							questions++
							<-free
							return true, nil
						},
					})
				}()
				synctest.Wait()
				agent.hears("Ask me")
				agent.tell("agent_start", map[string]any{})
				agent.says("user", "Ask me")
				ask := func() {
					agent.tell("rpc_ui_request", map[string]any{"id": "ui_1", "method": "confirm", "params": map[string]any{"title": "Go on?"}})
				}
				if heard {
					ask()
				}
				cut()
				synctest.Wait()
				close(free) // the answer is sent on the next connection
				if !heard {
					ask()
				}
				for message, err := range lead.Messages(t.Context()) {
					require.NoError(t, err)
					if unknown, ok := message.(*coder.UnknownMessage); ok && unknown.Type == "rpc_ui_response" {
						break
					}
				}
				agent.says("assistant", "Done.")
				agent.tell("agent_end", map[string]any{})
				<-done
				require.NoError(t, err)
				assert.Equal(t, "Done.", answer.Text)
				assert.Equal(t, 1, questions)
			}, codertest.WithoutAgent())
		})
	}
}

// The answer to a question that comes when there is no lead is sent again.
func TestHubConn_Ask_QuestionWithoutALead(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		client := hubClient(t, hub)
		lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
		require.NoError(t, err)
		id, agent := lead.SessionID(), reported{t, lead}
		agent.tell("session_start", map[string]any{"reason": "startup"})
		conn, err := client.Connect(t.Context(), id, &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		defer conn.Close()
		free := make(chan struct{})
		var answer *coder.Answer
		done := make(chan struct{})
		go func() {
			defer close(done)
			answer, err = conn.Ask(t.Context(), "Ask me", &coder.AskOptions{
				OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) {
					<-free
					return true, nil
				},
			})
		}()
		synctest.Wait()
		agent.hears("Ask me")
		agent.tell("agent_start", map[string]any{})
		agent.says("user", "Ask me")
		agent.tell("rpc_ui_request", map[string]any{"id": "ui_1", "method": "confirm", "params": map[string]any{"title": "Go on?"}})
		hub.Session(id).CutStreams() // as when the Hub restarts
		require.NoError(t, lead.Close())
		close(free)
		time.Sleep(5 * time.Second) // the controller is back before the lead
		back, err := client.Connect(t.Context(), id, &coder.HubConnectOptions{Role: coder.RoleLead})
		require.NoError(t, err)
		defer back.Close()
		for message, err := range back.Messages(t.Context()) {
			require.NoError(t, err)
			if unknown, ok := message.(*coder.UnknownMessage); ok && unknown.Type == "rpc_ui_response" {
				break
			}
		}
		agent.lead = back
		agent.says("assistant", "Done.")
		agent.tell("agent_end", map[string]any{})
		<-done
		require.NoError(t, err)
		assert.Equal(t, "Done.", answer.Text)
	}, codertest.WithoutAgent())
}
