package coder_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// exampleSkill is a Hub with a skill in the library of the caller.
func exampleSkill() (*codertest.Hub, *coder.Client, *coder.SavedSkill) {
	hub, client := exampleHub()
	skill, err := client.SaveSkill(context.Background(), coder.SaveSkillRequest{
		Repo: "example/skills", SkillID: "review", Name: "Review",
	})
	if err != nil {
		log.Fatal(err)
	}
	return hub, client, skill
}

func ExampleClient_SaveSkill() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()

	// Saved again it is updated, and remains the same.
	for _, name := range []string{"Review", "Code review"} {
		skill, err := client.SaveSkill(ctx, coder.SaveSkillRequest{Repo: "example/skills", SkillID: "review", Name: name})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(skill.ID, skill.Name)
	}
	// Output:
	// sk_000001 Review
	// sk_000001 Code review
}

func ExampleClient_CreateCustomSkill() {
	hub, client := exampleHub()
	defer hub.Close()
	ctx := context.Background()

	skill, err := client.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{
		SkillID: "release-checklist", Name: "Release checklist", Content: "# Release checklist\n\n1. Run the tests.\n",
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Release it", SavedSkillIDs: []string{skill.ID}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(skill.Source, skill.SkillID)
	// Output: custom release-checklist
}

func ExampleClient_ListSavedSkills() {
	hub, client, _ := exampleSkill()
	defer hub.Close()

	list, err := client.ListSavedSkills(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, skill := range list.Skills {
		fmt.Printf("%s: %s of %s\n", skill.ID, skill.SkillID, skill.Repo)
	}
	// Output: sk_000001: review of example/skills
}

func ExampleClient_DeleteSavedSkill() {
	hub, client, skill := exampleSkill()
	defer hub.Close()
	ctx := context.Background()

	// The skill id is that of the repository. The library has an id of its own.
	err := client.DeleteSavedSkill(ctx, skill.SkillID)
	fmt.Println(errors.Is(err, coder.ErrNotFound))
	err = client.DeleteSavedSkill(ctx, skill.ID)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

func ExampleClient_CreateSkillBucket() {
	hub, client, skill := exampleSkill()
	defer hub.Close()
	ctx := context.Background()

	bucket, err := client.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{
		Name: "For reviews", SavedSkillIDs: []string{skill.ID},
	})
	if err != nil {
		log.Fatal(err)
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{
		Task: "Review pull request 7", SkillBucketIDs: []string{bucket.ID},
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.GetSession(ctx, created.SessionID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Skills[0].Name)
	// Output: Review
}

func ExampleClient_ListSkillBuckets() {
	hub, client, skill := exampleSkill()
	defer hub.Close()
	ctx := context.Background()
	for _, name := range []string{"For reviews", "For releases"} {
		_, err := client.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{Name: name, SavedSkillIDs: []string{skill.ID}})
		if err != nil {
			log.Fatal(err)
		}
	}

	list, err := client.ListSkillBuckets(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, bucket := range list.Buckets {
		fmt.Println(bucket.Name, bucket.SkillCount, bucket.Skills[0].Name)
	}
	// Output:
	// For reviews 1 Review
	// For releases 1 Review
}

func ExampleClient_DeleteSkillBucket() {
	hub, client, skill := exampleSkill()
	defer hub.Close()
	ctx := context.Background()
	bucket, err := client.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{
		Name: "For reviews", SavedSkillIDs: []string{skill.ID},
	})
	if err != nil {
		log.Fatal(err)
	}

	// The skills stay in the library.
	if err := client.DeleteSkillBucket(ctx, bucket.ID); err != nil {
		log.Fatal(err)
	}
	library, err := client.ListSavedSkills(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(library.Skills), "skill")
	// Output: 1 skill
}
