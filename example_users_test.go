package coder_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func ExampleClient_ListUsers() {
	hub, client := exampleHub()
	defer hub.Close()
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		hub.AddUser(codertest.User{DisplayName: name})
	}

	// A page for people. AllUsers gets all of them.
	page, err := client.ListUsers(context.Background(), &coder.ListUsersParams{Limit: 2, Offset: 2})
	if err != nil {
		log.Fatal(err)
	}
	for i, user := range page.Users {
		fmt.Printf("%d of %d: %s\n", page.Offset+i+1, page.Total, user.DisplayName)
	}
	// Output: 3 of 3: Alan
}
