//go:build go1.27

package wire

// From Go 1.27 on encoding/json knows the tag option embed: the types with an Extra have no JSON
// methods that the Hub's JSON would have to be kept from.

func methodless(v any) any { return v }

func named(err error) error { return err }
