package codertest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestCredentials(t *testing.T) {
	const key = "agc_secret"
	for _, test := range []struct {
		name, header, value string
		want                int
	}{
		{"none", "Accept", "application/json", 401},
		{"bearer", "Authorization", "Bearer " + key, 200},
		{"bearer in lower case", "Authorization", "bearer " + key, 200},
		{"key header", "x-agentuity-auth-api-key", key, 200},
		{"wrong bearer", "Authorization", "Bearer agc_secreT", 401},
		{"longer bearer", "Authorization", "Bearer " + key + "x", 401},
		{"empty bearer", "Authorization", "Bearer ", 401},
		{"other scheme", "Authorization", "Basic " + key, 401},
		{"wrong key header", "x-agentuity-auth-api-key", "other", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t, codertest.WithAPIKey(key))
			r, err := f.try("GET", "/hub/sessions", "", test.header, test.value)
			require.NoError(t, err)
			assert.Equal(t, test.want, r.status)
			assert.Equal(t, "application/json", r.header.Get("Content-Type"))
			if test.want == 401 {
				assert.Equal(t, false, r.json["success"])
				assert.NotContains(t, string(r.body), key)
			}
		})
	}
}

func TestDiscoveryChecksCredentials(t *testing.T) {
	f := start(t, codertest.WithAPIKey("key"))
	r, err := read(f.client.Get(f.URL() + "/coder"))
	require.NoError(t, err)
	assert.Equal(t, 401, r.status)
}

func TestRequestBodyLimit(t *testing.T) {
	f := start(t)
	body := `{"task":"` + strings.Repeat("x", 64<<20) + `"}`
	r, err := f.try("POST", "/hub/session", body)
	require.NoError(t, err)
	assert.Equal(t, 413, r.status)
	assert.Equal(t, false, r.json["success"])
	assert.Empty(t, f.SessionIDs())
}
