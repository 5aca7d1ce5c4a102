// Handwritten makes one call with net/http and encoding/json and ends.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/agentuity/coder-go/internal/bench/byhand"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, id string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/hub/session/"+id, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer key")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var session byhand.Session
	if err := json.Unmarshal(data, &session); err != nil {
		return err
	}
	fmt.Println(session.SessionID, session.Repo.Branch)
	return nil
}
