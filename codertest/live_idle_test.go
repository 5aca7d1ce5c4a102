package codertest_test

import (
	"os"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// waitInVain names the test that a process of its own plays.
const waitInVain = "CODERTEST_WAIT_IN_VAIN"

// TestWaitInVain is what TestIdleTooLong plays: a program waits for a message that
// nobody sends, over the channel that the variable names.
func TestWaitInVain(t *testing.T) {
	channel := os.Getenv(waitInVain)
	if channel == "" {
		t.Skip("TestIdleTooLong plays it in a process of its own")
	}
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithKeepAlive(time.Hour))
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
		require.NoError(t, err)
		hub.Session(created.SessionID).SetStatus("active")
		if channel == "sse" {
			for _, err := range client.StreamEvents(t.Context(), created.SessionID, &coder.StreamEventsOptions{IdleTimeout: 3 * time.Hour}) {
				require.NoError(t, err)
			}
		}
		conn, err := client.Attach(t.Context(), created.SessionID, &coder.AttachOptions{
			Connection: coder.HubConnectOptions{HeartbeatInterval: time.Hour, HeartbeatTimeout: 3 * time.Hour},
		})
		require.NoError(t, err)
		for _, err := range conn.Messages(t.Context()) {
			require.NoError(t, err)
		}
	})
}

func TestIdleTooLong(t *testing.T) {
	for _, channel := range []string{"ws", "sse"} {
		t.Run(channel, func(t *testing.T) {
			process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWaitInVain$")
			process.Env = append(os.Environ(), waitInVain+"="+channel)
			output, err := process.CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(output), "panic: codertest: in a week of fake time nothing has come and gone but pings: "+
				"a program waits for a message that nobody sends. Give its context a timeout.\n")
		})
	}
}

// Whatever happens is no idleness, and what an agent will do is waited for.
func TestNotIdle(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(20*day))
		defer f.Close()
		c := f.control(f.active())
		c.ping()
		time.Sleep(19 * day)
		c.ping() // the agent is about to begin with the task
	})
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		for _, happens := range []func(){
			func() { f.Session(id).Emit(eventNamed("turn_end")); c.expect("broadcast turn_end") },
			func() { c.command("get_state", ""); c.expect("broadcast rpc_response") },
			func() { f.get("/hub/sessions") },
			func() { f.Session(id).SendRaw(`{"type":"x"}`); c.expect("x") },
			func() {},
		} {
			time.Sleep(6 * day)
			c.ping()
			happens()
		}
	})
}
