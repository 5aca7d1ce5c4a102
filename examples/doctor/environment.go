package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/promises"
)

// What the library reads, in the order in which it does.
var (
	keyVariables       = []string{"AGENTUITY_SDK_KEY", "AGENTUITY_CLI_KEY"}
	urlVariables       = []string{"AGENTUITY_CODER_URL"}
	discoveryVariables = []string{"AGENTUITY_CATALYST_URL", "AGENTUITY_TRANSPORT_URL"}
)

// used is the variable that counts, "" if none is set.
func used(names []string) string {
	for _, name := range names {
		if strings.TrimSpace(os.Getenv(name)) != "" {
			return name
		}
	}
	return ""
}

// environment makes the client. Without an account that is one of an embedded Hub.
func (d *doctor) environment(ctx context.Context) bool {
	key, address, catalyst := usedKey(), used(urlVariables), used(discoveryVariables)
	if key == "" && address == "" && catalyst == "" {
		return d.embed(ctx)
	}
	wrong, advice := faultOfKey(key)
	if wrong != "" { // some of these the library sends as they are
		d.add(Line{Check: "environment", Status: Wrong, Seen: "the key in " + key + " " + wrong, Advice: advice})
	}
	switch err := d.connect(); {
	case wrong != "":
		return err == nil
	case err != nil:
		d.fail("environment", 0, err)
		return false
	}
	line := Line{Check: "environment", Status: OK, Seen: "the key is in " + key}
	if key == "" {
		line = Line{Check: "environment", Status: Note, Seen: "no key is set", Advice: "Set AGENTUITY_SDK_KEY, unless this Hub wants none."}
	}
	switch {
	case address != "":
		line.Seen += ", the URL in " + address
	case catalyst != "":
		line.Seen += ", the URL is discovered with " + catalyst
	default:
		line.Seen += ", the URL is discovered"
	}
	d.add(line)
	return true
}

// connect makes the clients, whose transport is watched in three ways.
func (d *doctor) connect(options ...coder.Option) error {
	d.probe = &probe{base: d.between.transport}
	d.wire = &promises.Wire{Base: d.drift.Transport(d.probe)}
	options = append([]coder.Option{coder.WithHTTPClient(&http.Client{Transport: d.wire})}, options...)
	if d.recorder != nil {
		options = append(options, coder.WithRecorder(d.recorder))
	}
	var err error
	if d.client, err = coder.NewClient(options...); err != nil {
		return err
	}
	d.once, err = coder.NewClient(append(options, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))...)
	return err
}

// embed starts a Hub in which something has happened already.
func (d *doctor) embed(ctx context.Context) bool {
	d.embedded = codertest.NewHub(codertest.WithAgentVersion("1.6.0"))
	d.between = &surroundings{
		transport: d.embedded.HTTPClient().Transport, resolve: d.between.resolve,
		proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	err := d.connect(coder.WithURL(d.embedded.URL()), coder.WithAPIKey("embedded"))
	if err == nil {
		err = furnish(ctx, d.embedded, d.client)
	}
	if err != nil {
		d.fail("environment", 0, err)
		return false
	}
	d.add(Line{Check: "environment", Status: OK, Seen: "no account: examining an embedded Hub. Set AGENTUITY_SDK_KEY to examine yours"})
	return true
}

// furnish gives a Hub something to look at: users, an account, a workspace, an agent, and sessions whose task is done.
func furnish(ctx context.Context, hub *codertest.Hub, client *coder.Client) error {
	for range 3 {
		hub.AddUser(codertest.User{})
	}
	hub.AddGitHubAccount(codertest.GitHubAccount{})
	if _, err := client.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{Name: "Billing", SetupScript: "go mod download"}); err != nil {
		return err
	}
	agent := coder.CreateCustomAgentRequest{Slug: "tester", DisplayName: "Tester", Instructions: "Run the tests."}
	if _, err := client.CreateCustomAgent(ctx, agent); err != nil {
		return err
	}
	for range 2 {
		created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Add a /healthz endpoint that answers 200"})
		if err != nil {
			return err
		}
		for range 3 { // each look moves a new session on, until it is active
			if _, err := client.GetSession(ctx, created.SessionID); err != nil {
				return err
			}
		}
	}
	return nil
}
