package codertest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/drift"
)

// odd are the tests that have the Hub send what the library does not know, with the path of it. The Hub sends nothing
// of that kind by itself.
var odd = map[string][]string{
	"TestFaultAnswersInTheHubsPlace": {""},
	"TestSendRaw":                    {""},
	"TestSet":                        {"liveExpected"},
	"TestRequestsAreAnswered":        {"asked", "events[].payload.n"},
	"TestValuesAreTakenAsTheyAre":    {"usage.n", "events[].payload.n", "entries[].v"},
	"TestNumbersAreNumbers":          {"usage.n", "events[].payload.n", "entries[].v"},
	"TestBroadcastDataIsAnObject":    {"data.taskId", "data.value"},
	"TestFilters":                    {"event"},
	"TestCategories":                 {"events[].event"},
	"TestEventHistory":               {"events[].event"},
	"TestEmittedEvents":              {"events[].payload.n"},
	"TestEventReplay":                {"data.turnId"},
	"TestSessionTodos":               {"todos[].status"},
	"TestNotIdle":                    {""},
	"TestCutAndRawFrames":            {""},
	"TestWhatIsKeptOfEvents": {
		"data.messages[]", "events[].payload.messages", "events[].payload.message.partial", "events[].payload.usage",
		"events[].payload.x",
	},
	"TestRequestsThatAreNestedTooDeeply": {"sessions.websocket[].repo.a"},
	"TestFramesThatAreNestedTooDeeply":   {"events[].payload.a", "data.event.a", "entries[].b"},
	"TestLeadAndControllers": {
		"data.event.turnId", "data.turnId",
		"", // an rpc_ui_response, which the Hub hands to the lead as it is
	},
	"TestAgentRefuses": {"data.response.command"},
}

// watched is a client of the Hub. At the end of the test nothing may have been sent to it that the library does not
// know.
func watched(t testing.TB, hub *codertest.Hub) *http.Client {
	t.Helper()
	var recorder drift.Recorder
	client := *hub.HTTPClient()
	client.Transport = recorder.Transport(client.Transport)
	t.Cleanup(func() {
		test, _, _ := strings.Cut(t.Name(), "/")
		for _, found := range recorder.Findings() {
			assert.True(t, slices.Contains(odd[test], found.Path), "the Hub has sent %+v", found)
		}
	})
	return &client
}
