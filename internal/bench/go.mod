module github.com/agentuity/coder-go/internal/bench

go 1.26.0

require (
	github.com/agentuity/coder-go v0.0.0
	github.com/coder/websocket v1.8.15
	golang.org/x/sys v0.50.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace github.com/agentuity/coder-go => ../..
