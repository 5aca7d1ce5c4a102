package cassette

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const firstLine = `{"cassette":1,"library":"coder-go","began":"2026-11-28T19:30:59Z"}` + "\n"

func TestRead(t *testing.T) {
	tape, err := Read(strings.NewReader(firstLine +
		`{"t":1,"n":1,"is":"request","method":"GET","url":"http://h/api/hub/sessions"}` + "\n\n" +
		`{"t":2,"n":2,"is":"request","method":"GET","url":"http://h/api/ws"}` + "\n" +
		`{"t":3,"n":1,"is":"answer","status":200}` + "\n" +
		`{"t":3,"n":1,"is":"body","json":{"a":null},"from a newer version":1}` + "\n" +
		`{"t":3,"n":1,"is":"end","how":"whole"}` + "\n" +
		`{"t":4,"n":2,"is":"answer","st`))
	require.NoError(t, err)
	require.Len(t, tape.Exchanges, 2)
	how, ended := tape.Exchanges[0].Ended()
	assert.True(t, ended)
	assert.Equal(t, Whole, how.How)
	assert.JSONEq(t, `{"a":null}`, string(tape.Exchanges[0].Lines[1].Bytes()))
	_, ended = tape.Exchanges[1].Ended()
	assert.False(t, ended, "the program was killed")
}

func TestRead_NoRecording(t *testing.T) {
	request := `{"n":1,"is":"request"}` + "\n"
	for text, want := range map[string]string{
		"":                                      "it is empty",
		"\n\n":                                  "it is empty",
		"{}":                                    "line 1: it is no recording",
		"hello":                                 "line 1: it is no recording",
		`{"cassette":2}` + "\n":                 "line 1: it is a recording of the format 2, and this version reads 1",
		firstLine + "hello\n":                   "line 2: it is no line of a recording",
		firstLine + request + request:           "line 3: there are two requests with the number 1",
		firstLine + `{"n":1,"is":"end"}` + "\n": "line 2: there is no request with the number 1",
		firstLine + request + `{"n":1,"is":"body"}` + "\n":                                 "line 3: something follows an answer that is not there",
		firstLine + request + `{"n":1,"is":"answer","status":7}` + "\n":                    "line 3: 7 is no status",
		firstLine + request + strings.Repeat(`{"n":1,"is":"answer","status":200}`+"\n", 2): "line 4: there are two answers",
		firstLine + request + `{"n":1,"is":"end"}` + "\n" + `{"n":1,"is":"end"}` + "\n":    "line 4: something follows the end",
		firstLine + request + `{"n":1,"is":"whatever"}` + "\n":                             `line 3: what is "whatever"?`,
	} {
		_, err := Read(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}
