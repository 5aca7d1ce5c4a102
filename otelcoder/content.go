package otelcoder

import (
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// message is a message as the conventions write it.
type message struct {
	Role         string `json:"role"`
	Parts        []part `json:"parts"`
	FinishReason string `json:"finish_reason,omitempty"`
}

type part struct {
	Type    string `json:"type"`
	Content string `json:"content"`
}

func inputMessages(text string) attribute.KeyValue {
	return semconv.GenAIInputMessagesKey.String(messages("user", text, ""))
}

func outputMessages(text, reason string) attribute.KeyValue {
	return semconv.GenAIOutputMessagesKey.String(messages("assistant", text, reason))
}

// messages is one message as JSON: attributes of spans have no structure.
func messages(role, text, reason string) string {
	out, err := json.Marshal([]message{{Role: role, Parts: []part{{Type: "text", Content: text}}, FinishReason: reason}})
	if err != nil {
		return ""
	}
	return string(out)
}
