package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/bench/byhand"
)

// hostile is an answer whose JSON takes many times its size once it is decoded: a list of elements that are as
// small as can be. Blanks between them make it pass where a limit counts elements, and the lengths are those that
// came out worst.
type hostile struct {
	format, element string // the format has %q where it names the session
	length          int    // of an element with its comma and blanks
}

// hostiles are those that there are. sessions come with a list, the others with a session or its replay.
var hostiles = map[string]hostile{
	"tiny":     {`{"sessions":{"websocket":[%s],"sandbox":[]},"total":1}`, `{}`, 3},
	"sessions": {`{"sessions":{"websocket":[%s],"sandbox":[]},"total":1}`, `{"a":0}`, 77},
	"entries":  {`{"sessionId":%q,"entries":[%s]}`, `{"":[]}`, 44},
	"free":     {`{"sessionId":%q,"metadata":{"a":[%s]}}`, `""`, 3},
}

// hostileID names one of so many megabytes, as the id of a session or in the search of a list.
func hostileID(form string, megabytes int) string {
	return fmt.Sprintf("hostile-%s-%d", form, megabytes)
}

// hostileAnswer is the answer that the text names.
func (s *server) hostileAnswer(text string) []byte {
	for form, h := range hostiles {
		if megabytes := number([]byte(text), "hostile-"+form+"-"); megabytes > 0 {
			element := []byte("," + h.element + strings.Repeat(" ", h.length-1-len(h.element)))
			parts := []any{bytes.Repeat(element, megabytes*1_000_000/h.length)[1:]}
			if strings.Contains(h.format, "%q") {
				parts = append([]any{text}, parts...)
			}
			return response("200 OK", fmt.Appendf(nil, h.format, parts...))
		}
	}
	return s.missing
}

// hostileOurs gets an answer, and may refuse it.
func hostileOurs(form string) prepare {
	return func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			return calls(1, func(ctx context.Context) (seen, error) {
				var err error
				switch id := hostileID(form, o.Size); form {
				case "entries":
					_, err = c.GetReplay(ctx, id, nil)
				case "free":
					_, err = c.GetSession(ctx, id)
				default:
					_, err = c.ListSessions(ctx, &coder.ListSessionsParams{Search: id})
				}
				if refused := (*coder.ResponseError)(nil); err != nil && !errors.As(err, &refused) {
					return seen{}, err
				}
				return seen{things: 1}, nil
			})
		})
	}
}

func hostileByHand(form string) prepare {
	return func(o order) (task, func(), error) {
		c := newByHand(o)
		return calls(1, func(ctx context.Context) (seen, error) {
			var err error
			switch id := hostileID(form, o.Size); form {
			case "entries":
				err = c.do(ctx, http.MethodGet, "/session/"+id+"/replay", nil, new(byhand.Replay))
			case "free":
				err = c.do(ctx, http.MethodGet, "/session/"+id, nil, new(byhand.Session))
			default:
				err = c.do(ctx, http.MethodGet, "/sessions?search="+id, nil, new(byhand.List))
			}
			if wrong := (*json.UnmarshalTypeError)(nil); err != nil && !errors.As(err, &wrong) {
				return seen{}, err
			}
			return seen{things: 1}, nil
		}), c.close, nil
	}
}
