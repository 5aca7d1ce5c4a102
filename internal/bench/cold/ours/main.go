// Ours makes one call with this library and ends.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/agentuity/coder-go"
)

func main() {
	client, err := coder.NewClient(coder.WithURL(os.Args[1]), coder.WithAPIKey("key"))
	if err == nil {
		var session *coder.Session
		if session, err = client.GetSession(context.Background(), os.Args[2]); err == nil {
			fmt.Println(session.SessionID, session.Repo.Branch)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
