//go:build race

package coder_test

// The race detector makes it ten times slower, and finds what there is in fewer rounds.
func init() {
	stormRounds = 20
	crowd = 2_000
	sendRounds = 20
}
