//go:build lead

package reallead

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestAsk asks the real agent, one question after the other, and collects an answer from a receipt. In the middle of a long
// answer the connection of the controller is cut.
func TestAsk(t *testing.T) {
	for _, version := range versions {
		for _, channel := range channels {
			t.Run(version+"/"+channel, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, version, channel)
				r.join("")
				conn, err := r.client.Connect(r.ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController})
				require.NoError(t, err)
				defer conn.Close()
				ask := func(text string) (*coder.Answer, error) { return conn.Ask(r.ctx, text, nil) }

				var said strings.Builder
				answer, err := conn.Ask(r.ctx, "Say something [[text]]", &coder.AskOptions{OnText: func(delta string) { said.WriteString(delta) }})
				require.NoError(t, err)
				assert.Equal(t, "Hello, this is the answer.", answer.Text)
				assert.Equal(t, answer.Text, said.String())

				answer, err = ask("Do two things [[two]]")
				require.NoError(t, err)
				assert.Equal(t, "All done.", answer.Text)
				assert.Equal(t, 3, answer.ToolCalls)
				assert.NotNil(t, answer.Usage)

				answer, err = ask("Think [[think]]")
				require.NoError(t, err)
				assert.Equal(t, "Here is the answer.", answer.Text)
				assert.Equal(t, "First I think, then I speak.", answer.Thinking)

				answer, err = ask("Overload [[over1]]")
				require.NoError(t, err)
				assert.Equal(t, "Hello, this is the answer.", answer.Text)

				_, err = ask("Fail [[err400]]")
				require.ErrorIs(t, err, coder.ErrAgentFailed)
				var failed *coder.AgentError
				require.ErrorAs(t, err, &failed)
				assert.Contains(t, failed.Answer.ErrorMessage, "400")

				if channel == byDriver { // the extension tells nobody what its agent asks
					answer, err = conn.Ask(r.ctx, "Ask me [[ask]]", &coder.AskOptions{
						OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return true, nil },
					})
					require.NoError(t, err)
					assert.Equal(t, "All done.", answer.Text)
				}

				r.askAcrossALoss(conn)

				receipt, err := conn.Submit(r.ctx, "And then [[second]]")
				require.NoError(t, err)
				for range 2 {
					answer, err = r.client.Answer(r.ctx, receipt)
					require.NoError(t, err)
					assert.Equal(t, "The second answer.", answer.Text)
				}
			})
		}
	}
}

// askAcrossALoss cuts the connection in the middle of an answer, which ends while nobody listens.
func (r *rig) askAcrossALoss(conn *coder.HubConn) {
	r.t.Helper()
	began := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, err := conn.Ask(r.ctx, "Talk [[slow]]", &coder.AskOptions{OnText: func(delta string) {
			if strings.Contains(delta, "slow 1") {
				close(began)
			}
		}})
		if assert.NoError(r.t, err) {
			assert.Equal(r.t, "slow 0 slow 1 slow 2", answer.Text)
		}
	}()
	select {
	case <-began:
	case <-r.ctx.Done():
		require.Fail(r.t, "the answer does not begin")
	}
	list, err := r.client.ListParticipants(r.ctx, r.id, nil)
	require.NoError(r.t, err)
	for _, p := range list.Participants {
		if p.Role == coder.RoleController {
			r.hub.Session(r.id).DisconnectParticipant(p.ID)
		}
	}
	time.AfterFunc(100*time.Millisecond, func() { r.model.release("") })
	<-done
}
