package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatus(t *testing.T) {
	bad := errors.New("no \x1b[2Jsuch thing")
	for _, test := range []struct {
		err         error
		interrupted bool
		status      int
		says        string
	}{
		{nil, false, OK, ""},
		{flag.ErrHelp, false, OK, ""},
		{bad, false, Failed, "name: no [2Jsuch thing\n"},
		{Wrong(bad), false, BadUsage, "name: no [2Jsuch thing\n"},
		{fmt.Errorf("well: %w", Wrong(bad)), false, BadUsage, "name: well: no [2Jsuch thing\n"},
		{bad, true, Interrupted, "name: interrupted\n"},
		{nil, true, Interrupted, "name: interrupted\n"},
		{Wrong(nil), false, OK, ""},
	} {
		var errs bytes.Buffer
		assert.Equal(t, test.status, Status(&errs, "name", test.err, test.interrupted), "%+v", test)
		assert.Equal(t, test.says, errs.String())
	}
	require.ErrorIs(t, Wrong(bad), bad)
}

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"-n=5": "", "-m=1": "flag provided but not defined: -m; -h lists the flags", "5": `what is "5"? All it is told are flags: -h lists them`,
		"-n=x": `invalid value "x" for flag -n: parse error; -h lists the flags`,
	} {
		flags := flag.NewFlagSet("name", flag.ContinueOnError)
		n := flags.Int("n", 1, "how `many`")
		var out bytes.Buffer
		err := Parse(flags, []string{args}, &out)
		assert.Empty(t, out.String())
		if want == "" {
			require.NoError(t, err)
			assert.Equal(t, 5, *n)
			continue
		}
		require.EqualError(t, err, want)
		assert.Equal(t, BadUsage, Status(&out, "name", err, false))

		out.Reset()
		require.ErrorIs(t, Parse(flags, []string{"-h"}, &out), flag.ErrHelp)
		assert.Contains(t, out.String(), "usage: name [flags]\n\n  -n many\n")
	}
}
