package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestObserversWatchASessionSleep(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	f.Session(id).SetStatus("active")
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	f.Session(id).Pause()
	o.expect("presence session_leave", "broadcast session_leave")
	f.Session(id).SetStatus("active")
	o.expect("presence session_join", "broadcast session_join")
}

func TestDisconnectParticipantEndsTheStream(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	first, second := f.observe(id, ""), f.observe(id, "")
	defer first.close()
	defer second.close()
	first.expect(opening...)
	second.expect(opening...)
	first.expect(opening[2:]...)
	f.Session(id).DisconnectParticipant("p_000001")
	first.ended()
	leave := second.next()
	assert.Equal(t, "presence session_leave", text(leave, "type", "event"))
	assert.Equal(t, "p_000001", at(t, leave, "participant", "id"))
	second.expect("broadcast session_leave")
	second.close()
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	assert.InDelta(t, 0, f.get("/hub/session/" + id)["observerCount"], 0)
}

func TestSubAgentsHaveNoPresence(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	f.Session(id).AddParticipant(codertest.Participant{Role: "sub_agent"})
	o.expect("broadcast session_join")
}
