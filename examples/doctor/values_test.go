package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestValues: what is wrong with a variable is said of that variable, with what to do about it.
func TestValues(t *testing.T) {
	const key, address = "AGENTUITY_SDK_KEY", "AGENTUITY_CODER_URL"
	for name, tc := range map[string]struct {
		variable, value string
		seen, advice    string
	}{
		"a key with a line break behind it":    {key, testKey + "\n", "the key in AGENTUITY_SDK_KEY ends with a line break", "printf"},
		"a key with the line break of Windows": {key, testKey + "\r\n", "ends with a line break", "printf"},
		"a key with a line break before it":    {key, "\n" + testKey, "begins with a line break", "Set AGENTUITY_SDK_KEY again"},
		"a key with a blank behind it":         {key, testKey + " ", "ends with a blank", "Set AGENTUITY_SDK_KEY again"},
		"a key with a blank before it":         {key, " " + testKey, "begins with a blank", "Set AGENTUITY_SDK_KEY again"},
		"a key with a tab behind it":           {key, testKey + "\t", "ends with a blank", "Set AGENTUITY_SDK_KEY again"},
		"a key with a blank that does not end": {key, "\u00a0" + testKey, "begins with a blank", "Set AGENTUITY_SDK_KEY again"},
		"a key with a byte order mark":         {key, "\ufeff" + testKey, "begins with an invisible character", "Set AGENTUITY_SDK_KEY again"},
		"a key with an invisible end":          {key, testKey + "\u200b", "ends with an invisible character", "Set AGENTUITY_SDK_KEY again"},
		"a key of blanks":                      {key, "  ", "nothing but blanks", "unset AGENTUITY_SDK_KEY"},
		"a key in quotation marks":             {key, `"` + testKey + `"`, "in quotation marks", "Take them away"},
		"a key in quotation marks of a shell":  {key, "'" + testKey + "'", "in quotation marks", "Take them away"},
		"a key behind the name of its scheme":  {key, "Bearer " + testKey, "begins with Bearer", "the key alone"},
		"a key behind its own name":            {key, "AGENTUITY_SDK_KEY=" + testKey, "begins with its own name", "the key alone"},
		"two keys":                             {key, testKey + "\n" + testKey, "has a line break in it", "the key alone"},
		"a key with a blank in it":             {key, "sk_S3CR3T S3CR3T", "has a blank in it", "the key alone"},
		"a key that is no text":                {key, "sk_S3CR3T\xff", "a character that no key has", "the key alone"},
		"a key with an umlaut":                 {key, "sk_S3CR3Tä", "a character that no key has", "the key alone"},
		"a key of the CLI with a line break":   {"AGENTUITY_CLI_KEY", testKey + "\n", "AGENTUITY_CLI_KEY ends with a line break", "Set AGENTUITY_CLI_KEY again"},
		"a URL with a user":                    {address, "http://me:S3CR3T@" + testHost, "must not contain a user name", "Take what is before the @ out of AGENTUITY_CODER_URL"},
		"a URL with a key as its user":         {address, "http://sk_S3CR3T@" + testHost, "must not contain a user name", "AGENTUITY_SDK_KEY"},
		"a URL with a query":                   {address, "http://" + testHost + "/?key=S3CR3T", "must not have a query", "Take everything from the ? on out of AGENTUITY_CODER_URL"},
		"a URL with an empty query":            {address, "http://" + testHost + "/?", "must not have a query", "Take everything from the ? on"},
		"a URL with a fragment":                {address, "http://" + testHost + "/#/sessions", "a fragment", "Take everything from the # on out of AGENTUITY_CODER_URL"},
		"a URL without a scheme":               {address, testHost, "absolute", "Put https:// before it"},
		"a URL without a scheme and a port":    {address, testHost + ":8443", "AGENTUITY_CODER_URL", "Put https:// before it"},
		"this machine without a scheme":        {address, "localhost:8443", "AGENTUITY_CODER_URL", "Put http:// before it"},
		"an address of this machine":           {address, "127.0.0.1:8443", "AGENTUITY_CODER_URL", "Put http:// before it"},
		"an address without a scheme":          {address, "10.11.12.13:8443", "AGENTUITY_CODER_URL", "Put https:// before it"},
		"a URL with one slash":                 {address, "https:/" + testHost, "absolute", "https://host"},
		"a URL of another scheme":              {address, "ftp://" + testHost, "absolute", "https://host"},
		"a URL in quotation marks":             {address, `"http://` + testHost + `"`, "AGENTUITY_CODER_URL", "Take the quotation marks around it away"},
		"a URL with a blank in it":             {address, "http://" + testHost + " # the Hub", "AGENTUITY_CODER_URL", "Take the blanks"},
		"a URL with a line break in it":        {address, "http://" + testHost + "\nhttp://" + testHost, "AGENTUITY_CODER_URL", "Take the blanks and line breaks out of AGENTUITY_CODER_URL"},
		"a URL with a port that is too high":   {address, "http://" + testHost + ":99999", "port", "Correct the port in AGENTUITY_CODER_URL"},
		"a URL with a port that is a word":     {address, "http://" + testHost + ":S3CR3T", "AGENTUITY_CODER_URL", "Correct AGENTUITY_CODER_URL"},
		"a place to ask with a query":          {"AGENTUITY_CATALYST_URL", "http://" + testHost + "/?key=S3CR3T", "must not have a query", "out of AGENTUITY_CATALYST_URL"},
		"a place to ask with a user":           {"AGENTUITY_TRANSPORT_URL", "http://S3CR3T@" + testHost, "must not contain a user name", "out of AGENTUITY_TRANSPORT_URL"},
		"a region with a blank":                {"AGENTUITY_REGION", "us west", "letters, digits and hyphens", "Correct AGENTUITY_REGION"},
	} {
		t.Run(name, func(t *testing.T) {
			env := account()
			switch tc.variable {
			case "AGENTUITY_CLI_KEY":
				delete(env, key)
			case "AGENTUITY_CATALYST_URL", "AGENTUITY_TRANSPORT_URL", "AGENTUITY_REGION":
				delete(env, address)
			}
			env[tc.variable] = tc.value
			status, out := examined(t, env, nil)
			assert.Equal(t, notFine, status)
			found := line(out, Wrong, "environment")
			require.NotEmpty(t, found, out)
			seen, advice, _ := strings.Cut(found, "-> ")
			assert.Contains(t, seen, tc.seen)
			assert.Contains(t, advice, tc.advice)
			assert.Equal(t, 1, strings.Count(out, " environment "), "it is said once:\n%s", out)
		})
	}
}
