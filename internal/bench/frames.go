package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/bench/byhand"
)

var errMessage = errors.New("a message is not what was sent")

// framesID is the session whose WebSocket brings so many messages of that size.
func framesID(n, size int) string { return fmt.Sprintf("frames-%d-of-%d", n, size) }

// framesOurs reads the messages of a HubConn.
func framesOurs(o order) (task, func(), error) {
	return oursWith(o, func(c *coder.Client) task {
		return func(ctx context.Context, n int) (found seen, err error) {
			conn, err := c.Connect(ctx, framesID(n, o.Size), nil)
			if err != nil {
				return found, err
			}
			defer conn.Close()
			for message, err := range conn.Messages(ctx) {
				if err != nil {
					return found, err
				}
				m, ok := message.(*coder.BroadcastEventMessage)
				if !ok || m.SessionID != sessionID || m.Timestamp.IsZero() {
					return found, errMessage
				}
				found.things++
				found.chars += len(m.Data)
				if found.things == n {
					break
				}
			}
			return found, nil
		}
	})
}

// frames reads those of a bare coder/websocket.
func (c *byHand) frames(o order) task {
	return func(ctx context.Context, n int) (found seen, err error) {
		conn, err := c.dial(ctx, framesID(n, o.Size))
		if err != nil {
			return found, err
		}
		defer func() { _ = conn.CloseNow() }()
		for found.things < n {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return found, err
			}
			var m byhand.Broadcast
			if err := json.Unmarshal(text, &m); err != nil {
				return found, err
			}
			if m.SessionID != sessionID || m.Timestamp == 0 {
				return found, errMessage
			}
			found.things++
			found.chars += len(m.Data)
		}
		return found, nil
	}
}
