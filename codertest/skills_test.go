package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// saveSkill puts a skill into the library and returns its record id.
func (f fixture) saveSkill(skillID string) string {
	f.Helper()
	body := `{"repo":"labs/skills","skillId":"` + skillID + `","name":"Skill ` + skillID + `"}`
	return at(f, f.call(201, "POST", "/hub/skills/library", body), "skill", "id").(string)
}

func (f fixture) createBucket(body string) string {
	f.Helper()
	return at(f, f.call(201, "POST", "/hub/skills/buckets", body), "bucket", "id").(string)
}

func TestSkillLibrary(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"skills": []any{}}, f.get("/hub/skills/library"))
	first := at(t, f.call(201, "POST", "/hub/skills/library",
		`{"repo":"labs/skills","skillId":"review","name":"Review","description":"d","url":"https://x","unknown":1}`), "skill")
	assert.Equal(t, "sk_000001 registry labs/skills review Review d https://x",
		text(first, "id", "source", "repo", "skillId", "name", "description", "url"))
	assert.NotContains(t, first, "content")
	custom := at(t, f.call(201, "POST", "/hub/skills/library",
		`{"source":"custom","repo":"custom","skillId":"review","name":"Mine","content":" # x\n"}`), "skill")
	assert.Equal(t, "sk_000002 custom", text(custom, "id", "source"))
	assert.Equal(t, " # x\n", at(t, custom, "content"))
	assert.Equal(t, []any{"sk_000001", "sk_000002"}, all(t, f.get("/hub/skills/library")["skills"], "id"))

	assert.Equal(t, map[string]any{"ok": true}, f.call(200, "DELETE", "/hub/skills/library/sk_000001", ""))
	f.call(404, "DELETE", "/hub/skills/library/sk_000001", "")
	f.call(404, "DELETE", "/hub/skills/library/review", "")
	assert.Equal(t, []any{"sk_000002"}, all(t, f.get("/hub/skills/library")["skills"], "id"))
	assert.Equal(t, "sk_000003", f.saveSkill("review"))
}

func TestSavingASkillAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
		before := at(t, f.call(201, "POST", "/hub/skills/library", `{"repo":"r","skillId":"s","name":"old","content":"old"}`), "skill")
		bucket := f.createBucket(`{"name":"kit","savedSkillIds":["sk_000001"]}`)
		assert.Equal(t, "bkt_000001", bucket)
		time.Sleep(time.Second)
		after := at(t, f.call(201, "POST", "/hub/skills/library", `{"repo":"r","skillId":"s","name":"new","source":"registry"}`), "skill")
		assert.Equal(t, text(before, "id", "createdAt"), text(after, "id", "createdAt"))
		assert.Equal(t, "2000-01-01T00:00:01.000Z", at(t, after, "updatedAt"))
		assert.Equal(t, "new <nil>", text(after, "name", "content"))
		assert.Len(t, f.get("/hub/skills/library")["skills"], 1)
		assert.Equal(t, "new", at(t, f.get("/hub/skills/buckets"), "buckets", 0, "skills", 0, "name"))
	})
}

func TestSaveSkillRefuses(t *testing.T) {
	f := start(t)
	for _, body := range []string{
		``, `[]`, `{}`, `{"repo":"r","skillId":"s"}`, `{"repo":"r","name":"n"}`, `{"skillId":"s","name":"n"}`,
		`{"repo":"r","skillId":" ","name":"n"}`, `{"repo":1,"skillId":"s","name":"n"}`,
	} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "POST", "/hub/skills/library", body)["code"], body)
	}
}

func TestBuckets(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"buckets": []any{}}, f.get("/hub/skills/buckets"))
	one, two := f.saveSkill("one"), f.saveSkill("two")
	full := at(t, f.call(201, "POST", "/hub/skills/buckets",
		`{"name":"kit","description":"d","savedSkillIds":["`+two+`","`+one+`","`+two+`"]}`), "bucket")
	assert.Equal(t, "bkt_000001 kit d 2", text(full, "id", "name", "description", "skillCount"))
	assert.Equal(t, []any{"two", "one"}, all(t, at(t, full, "skills"), "skillId"))
	empty := at(t, f.call(201, "POST", "/hub/skills/buckets", `{"name":"empty"}`), "bucket")
	assert.Equal(t, []any{}, at(t, empty, "skills"))
	assert.NotContains(t, empty, "description")

	f.call(200, "DELETE", "/hub/skills/library/"+two, "")
	kit := at(t, f.get("/hub/skills/buckets"), "buckets", 0)
	assert.Equal(t, []any{"one"}, all(t, at(t, kit, "skills"), "skillId"))
	assert.InDelta(t, 1, at(t, kit, "skillCount"), 0)

	assert.Equal(t, map[string]any{"ok": true}, f.call(200, "DELETE", "/hub/skills/buckets/bkt_000001", ""))
	f.call(404, "DELETE", "/hub/skills/buckets/bkt_000001", "")
	assert.Equal(t, []any{"bkt_000002"}, all(t, f.get("/hub/skills/buckets")["buckets"], "id"))
	assert.Len(t, f.get("/hub/skills/library")["skills"], 1, "the skills stay in the library")
	for _, body := range []string{``, `{}`, `{"name":" "}`, `{"name":"x","savedSkillIds":"a"}`} {
		f.call(400, "POST", "/hub/skills/buckets", body)
	}
	f.call(404, "POST", "/hub/skills/buckets", `{"name":"x","savedSkillIds":["sk_unknown"]}`)
}

func TestSessionsGetSkillsOnce(t *testing.T) {
	f := start(t)
	one, two, three := f.saveSkill("one"), f.saveSkill("two"), f.saveSkill("three")
	bucket := f.createBucket(`{"name":"kit","savedSkillIds":["` + one + `","` + three + `"]}`)
	id := f.create(`{"task":"x","skills":[{"skillId":"two","repo":"labs/skills","name":"inline"}],
		"savedSkillIds":["` + one + `","` + two + `"],"skillBucketIds":["` + bucket + `"]}`)
	f.call(200, "DELETE", "/hub/skills/library/"+one, "")
	assert.Equal(t, []any{
		map[string]any{"skillId": "two", "repo": "labs/skills", "name": "inline"},
		map[string]any{"skillId": "one", "repo": "labs/skills", "name": "Skill one"},
		map[string]any{"skillId": "three", "repo": "labs/skills", "name": "Skill three"},
	}, f.get("/hub/session/" + id)["skills"])
	f.call(404, "POST", "/hub/session", `{"task":"x","savedSkillIds":["`+one+`"]}`)
	f.call(404, "POST", "/hub/session", `{"task":"x","skillBucketIds":["bkt_unknown"]}`)
	assert.Len(t, f.SessionIDs(), 1)
}

func TestSkillFiles(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"ok": true, "count": 0.0, "skills": []any{}}, f.get("/hub/skills"))
	f.saveSkill("without-a-text")
	for _, body := range []string{
		`{"repo":"r","skillId":"review","name":"n","content":"one"}`, `{"repo":"r","skillId":"deploy","name":"n","content":"two"}`,
		`{"repo":"r","skillId":"../up","name":"n","content":"x"}`, `{"repo":"r","skillId":"..","name":"n","content":"x"}`,
		`{"repo":"r","skillId":"a/b","name":"n","content":"x"}`, `{"repo":"r","skillId":"/","name":"n","content":"x"}`,
	} {
		f.call(201, "POST", "/hub/skills/library", body)
	}
	f.AddSkillFile("../../etc/passwd", "hostile")
	f.AddSkillFile(".agents/skills/deploy/SKILL.md", "the test's")
	assert.Equal(t, map[string]any{"ok": true, "count": 3.0, "skills": []any{
		map[string]any{"path": ".agents/skills/review/SKILL.md", "content": "one"},
		map[string]any{"path": ".agents/skills/deploy/SKILL.md", "content": "the test's"},
		map[string]any{"path": "../../etc/passwd", "content": "hostile"},
	}}, f.get("/hub/skills"))

	f.call(201, "POST", "/hub/skills/library", `{"repo":"r","skillId":"review","name":"n","content":"saved again"}`)
	f.call(200, "DELETE", "/hub/skills/library/sk_000003", "")
	assert.Equal(t, []any{"saved again", "hostile", "the test's"}, all(t, f.get("/hub/skills")["skills"], "content"))
	f.AddSkillFile("../../etc/passwd", "again")
	assert.Equal(t, []any{"saved again", "again", "the test's"}, all(t, f.get("/hub/skills")["skills"], "content"))
}
