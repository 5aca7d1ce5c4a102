//go:build go1.27

package coder

import "encoding/json"

// From Go 1.27 on types with an Extra rely on an encoding/json that is built on v2. If the compiler
// says that this is undefined, it was called with GOEXPERIMENT=nojsonv2, with which Extra would be lost.
var _ = json.DefaultOptionsV1
