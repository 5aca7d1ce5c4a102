//go:build go1.27

package wire

import "github.com/go-json-experiment/json"

// From Go 1.27 on encoding/json knows the tag option embed: the types with an Extra have no JSON
// methods that the Hub's JSON would have to be kept from.

// WritesNumbers and readsNumbers change nothing: a json.Number is a number.
var (
	WritesNumbers json.Options
	readsNumbers  *json.Unmarshalers
)

func methodless(v any) any { return v }

func named(err error) error { return err }
