package codertest_test

import (
	"context"
	"fmt"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleHub() {
	hub := codertest.NewHub()
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Fix the flaky test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		session, err := client.GetSession(ctx, created.SessionID)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(session.SessionID, session.Status)
	}
	for _, request := range hub.Requests() {
		fmt.Println(request)
	}
	// Output:
	// codesess_000000000001 creating
	// codesess_000000000001 provisioning
	// codesess_000000000001 active
	// POST /api/hub/session: 201
	// GET /api/hub/session/codesess_000000000001: 200
	// GET /api/hub/session/codesess_000000000001: 200
	// GET /api/hub/session/codesess_000000000001: 200
}
