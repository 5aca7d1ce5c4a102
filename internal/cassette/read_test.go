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
	const (
		request = `{"n":1,"is":"request","method":"GET","url":"http://h/api/x"}` + "\n"
		answer  = `{"n":1,"is":"answer","status":200}` + "\n"
		opened  = `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}` + "\n"
		end     = `{"n":1,"is":"end","how":"whole"}` + "\n"
	)
	for text, want := range map[string]string{
		"":                             "it is empty",
		"\n\n":                         "it is empty",
		"{}":                           "line 1: it is no recording",
		"hello":                        "line 1: it is no recording",
		`{"cassette":2}` + "\n":        "line 1: it is a recording of the format 2, and this version reads 1",
		firstLine + "hello\n":          "line 2: it is no line of a recording",
		firstLine + `{"n":"1"}` + "\n": "line 2: n: a string cannot stand here",
		firstLine + `{"n":1,"is":"body","base64":"?"}` + "\n":                                                      "line 2: base64: ",
		firstLine + `{"is":"request"}` + "\n":                                                                      "line 2: n: the number of the exchange is missing",
		firstLine + `{"n":1}` + "\n":                                                                               "line 2: is: it does not say what happened",
		firstLine + `{"t":-5,"n":1,"is":"request"}` + "\n":                                                         "line 2: t: -5 is before the recording began",
		firstLine + `{"n":1,"is":"request","url":"http://h"}` + "\n":                                               "line 2: method: it is missing",
		firstLine + `{"n":1,"is":"request","method":"GET","url":"/api"}` + "\n":                                    `line 2: url: "/api" is no URL`,
		firstLine + `{"n":1,"is":"request","method":"GET","url":"http://h","text":"x","json":{}}` + "\n":           "line 2: json, text, base64: only one",
		firstLine + `{"n":1,"is":"request","method":"GET","url":"http://h","text":"x","omitted":-1}` + "\n":        "line 2: omitted: -1 is negative",
		firstLine + request + request:                                                                              "line 3: n: there are two requests with the number 1",
		firstLine + end:                                                                                            "line 2: n: there is no request with the number 1",
		firstLine + answer + request:                                                                               "line 2: n: there is no request with the number 1",
		firstLine + request + `{"n":1,"is":"body"}` + "\n":                                                         `line 3: is: "body" follows an answer that is not there`,
		firstLine + request + `{"n":1,"is":"answer"}` + "\n":                                                       "line 3: status: 0 is no status",
		firstLine + request + `{"n":1,"is":"answer","status":7}` + "\n":                                            "line 3: status: 7 is no status",
		firstLine + request + `{"n":1,"is":"answer","status":1000}` + "\n":                                         "line 3: status: 1000 is no status",
		firstLine + request + `{"n":1,"is":"answer","status":103}` + "\n":                                          "line 3: status: 103 announces an answer",
		firstLine + request + `{"n":1,"is":"answer","status":101}` + "\n":                                          "line 3: header: a status of 101 has an Upgrade",
		firstLine + request + answer + answer:                                                                      "line 4: is: there are two answers",
		firstLine + request + answer + end + end:                                                                   `line 5: n: "end" follows the end of exchange 1, in line 4`,
		firstLine + request + `{"n":1,"is":"end"}` + "\n":                                                          `line 3: how: "" is none of ["whole"`,
		firstLine + request + `{"n":1,"is":"end","how":"somehow"}` + "\n":                                          `line 3: how: "somehow" is none of`,
		firstLine + request + end:                                                                                  `line 3: how: "whole", and there is no answer`,
		firstLine + request + answer + `{"n":1,"is":"end","how":"refused"}` + "\n":                                 `line 4: how: "refused", and there is an answer, in line 3`,
		firstLine + request + `{"n":1,"is":"whatever"}` + "\n":                                                     `line 3: is: what is "whatever"?`,
		firstLine + request + answer + `{"n":1,"is":"received","text":"x"}` + "\n":                                 `line 4: is: "received" follows a status of 200`,
		firstLine + request + opened + `{"n":1,"is":"body","text":"x"}` + "\n":                                     "line 4: is: a body follows a status of 101",
		firstLine + request + opened + `{"n":1,"is":"close","code":1000}` + "\n":                                   `line 4: by: "" is neither program nor hub`,
		firstLine + request + opened + `{"n":1,"is":"close","by":"hub","code":70000}` + "\n":                       "line 4: code: 70000 is no close code",
		firstLine + `{"t":9,` + request[1:] + `{"t":8,` + answer[1:]:                                               "line 3: t: 8 is before line 2 of the same exchange, at 9",
		firstLine + request + `{"n":1,"is":"answer","status":204}` + "\n" + `{"n":1,"is":"body","json":{}}` + "\n": "line 4: is: a body follows a 204 to GET",
		firstLine + request + `{"n":1,"is":"answer","status":304}` + "\n" + `{"n":1,"is":"body","omitted":3}`:      "line 4: is: a body follows a 304 to GET",
		firstLine + strings.Replace(request, "GET", "HEAD", 1) + answer + `{"n":1,"is":"body","text":"x"}` + "\n":  "line 4: is: a body follows a 200 to HEAD",
	} {
		_, err := Read(strings.NewReader(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := Read(strings.NewReader(firstLine + request + opened + `{"n":1,"is":"close","by":"hub"}` + "\n" + end))
	assert.NoError(t, err, "a close frame may have no code")
	_, err = Read(strings.NewReader(firstLine + request + strings.Replace(answer, "200", "999", 1) + `{"n":1,"is":"body"}` + "\n"))
	assert.NoError(t, err, "some servers have such a status")
}
