package wire

import (
	"bytes"
	v1 "encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowEnvelope is an Envelope as Unmarshal reads it.
type slowEnvelope struct {
	Type      string        `json:"type"`
	Event     string        `json:"event"`
	Category  string        `json:"category"`
	SessionID string        `json:"sessionId"`
	Data      v1.RawMessage `json:"data"`
	Timestamp *int64        `json:"timestamp"`
}

// usual are envelopes that a Hub sends, and others that cost no more to read.
var usual = []string{
	`{"type":"broadcast","event":"message_update","category":"message","data":{"a":"b"},"sessionId":"codesess_1","timestamp":1768473737522}`,
	`{"sessionId":"s","timestamp":0,"event":"x","data":{}}`,
	` { "event" : "x" , "data" : [ 1 , -2.5e+3 , { "a" : null } , "\u00e4\ud800\\" , true , false , [ ] , { } ] } `,
	"{\"event\":\"x\",\n\t\"data\":{\"a\":\"\xff\xc3\xa4\",\"a\":2},\r\"later\":{\"x\":[[[]]]},\"other\":0.5}",
	`{"data":"text"}`, `{"timestamp":123456789012345}`,
	`{"a":1,"a":2}`,
	`{"event":"` + strings.Repeat("x", 300) + `","data":{"` + strings.Repeat("y", 33) + `":"` + strings.Repeat("z\\n", 100) + `"}}`,
	`{"data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
}

// unusual are valid, but not for reading by hand.
var unusual = []string{
	`{}`, `{"type":"a","type":"b"}`, `{"event":"a\n"}`, `{"event":"ä"}`, `{"\u0065vent":"x"}`, `{"ä":1}`, `{"event":null}`, `{"event":7}`,
	`{"timestamp":"1"}`, `{"timestamp":1.5}`, `{"timestamp":1e3}`, `{"timestamp":-1}`, `{"timestamp":null}`, `{"timestamp":1234567890123456}`,
	"{\"event\":\"\x7f\"}", `{"data":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, `null`, `[]`, `"x"`, `7`,
}

// broken are no JSON.
var broken = []string{
	``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a":1}x`, `{"a":1} {}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`,
	`{"event":"x`, `{"event":"x}`, "{\"event\":\"\n\"}", `{"timestamp":01}`, `{"timestamp":1x}`, `{"timestamp":}`,
	`{"data":{]}`, `{"data":[}]`, `{"data":[1,]}`, `{"data":{"a"}}`, `{"data":{"a":}}`, `{"data":{"a":1,}}`, `{"data":{1:1}}`, `{"data":[1 2]}`,
	`{"data":tru}`, `{"data":nulL}`, `{"data":falsex}`, `{"data":-}`, `{"data":1.}`, `{"data":.5}`, `{"data":1e}`, `{"data":1e+}`, `{"data":00}`, `{"data":+1}`,
	`{"data":"\x"}`, `{"data":"\u12g4"}`, `{"data":"\u123"}`, `{"data":"\u12`, `{"data":"\`, "{\"data\":\"12345678\x1f\"}", `{"data":"1234567`, `{"data":[`, `{"data":{"a":[`,
}

func TestReadEnvelope(t *testing.T) {
	for _, text := range usual {
		e, sure := ReadEnvelope([]byte(text))
		require.True(t, sure, text)
		checkEnvelope(t, []byte(text), e)
	}
	for _, text := range unusual {
		_, sure := ReadEnvelope([]byte(text))
		assert.False(t, sure, text)
		assert.True(t, Valid([]byte(text)), text)
	}
	for _, text := range broken {
		_, sure := ReadEnvelope([]byte(text))
		assert.False(t, sure, text)
		assert.False(t, Valid([]byte(text)), text)
	}
}

// TestReadEnvelope_Cut is sure of no part of an envelope, whatever is behind it in memory.
func TestReadEnvelope_Cut(t *testing.T) {
	for _, text := range usual {
		text = strings.TrimSpace(text)
		for n := range len(text) {
			_, sure := ReadEnvelope([]byte(text)[:n])
			require.False(t, sure, text[:n])
		}
	}
}

func checkEnvelope(t *testing.T, text []byte, e Envelope) {
	t.Helper()
	var slow slowEnvelope
	require.NoError(t, UnmarshalExact(text, &slow), "%q", text)
	assert.Equal(t, slow.Type, string(e.Type), "%q", text)
	assert.Equal(t, slow.Event, string(e.Event), "%q", text)
	assert.Equal(t, slow.Category, string(e.Category), "%q", text)
	assert.Equal(t, slow.SessionID, string(e.SessionID), "%q", text)
	assert.Equal(t, string(slow.Data), string(e.Data), "%q", text)
	require.Equal(t, slow.Timestamp != nil, e.HasTimestamp, "%q", text)
	if e.HasTimestamp {
		assert.Equal(t, *slow.Timestamp, e.Timestamp, "%q", text)
	}
}

// FuzzReadEnvelope: what is read by hand is what Unmarshal reads.
func FuzzReadEnvelope(f *testing.F) {
	for _, list := range [][]string{usual, unusual, broken} {
		for _, text := range list {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		if e, sure := ReadEnvelope(text); sure {
			checkEnvelope(t, text, e)
		}
		assert.Equal(t, before, text)
	})
}

// FuzzEndOfValue: a value is valid for endOfValue exactly if it is for json v2, as long as it is not too deep.
func FuzzEndOfValue(f *testing.F) {
	for _, list := range [][]string{usual, unusual, broken} {
		for _, text := range list {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i := space(text, 0)
		end := endOfValue(text, i)
		if end >= 0 {
			require.True(t, jsontext.Value(text[:end]).IsValid(Accepted), "%q", text[:end])
		}
		if Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= deepest {
			require.Equal(t, len(text), space(text, end), "%q", text)
		}
	})
}
