package main

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

func TestImages(t *testing.T) {
	encode := base64.StdEncoding.EncodeToString
	png, gif := []byte("\x89PNG\r\n\x1a\nrest"), []byte("GIF89a rest")
	large := append([]byte(nil), png...)
	large = append(large, make([]byte, largestImage)...)
	for name, test := range map[string]struct {
		attachment  coder.PromptAttachmentDescriptor
		image, note string
		text        string
	}{
		"content":            {coder.PromptAttachmentDescriptor{Type: "image", Content: encode(png)}, "data:image/png;base64," + encode(png), "", ""},
		"a wrong type":       {coder.PromptAttachmentDescriptor{Type: "image", MimeType: "text/html", Content: encode(gif)}, "data:image/gif;base64," + encode(gif), "", ""},
		"a data URL":         {coder.PromptAttachmentDescriptor{Type: "file", URL: "data:image/png;base64," + encode(png)}, "data:image/png;base64," + encode(png), "", ""},
		"a file of the type": {coder.PromptAttachmentDescriptor{Type: "file", MimeType: "image/png", Content: encode(png)}, "data:image/png;base64," + encode(png), "", ""},
		"SVG":                {coder.PromptAttachmentDescriptor{Type: "image", MimeType: "image/svg+xml", Content: encode([]byte("<svg></svg>"))}, "", "left out: it is no PNG, JPEG, GIF or WebP", ""},
		"no base64":          {coder.PromptAttachmentDescriptor{Type: "image", Content: "###"}, "", "left out: it is not in base64", ""},
		"a plain data URL":   {coder.PromptAttachmentDescriptor{Type: "image", URL: "data:image/png,xyz"}, "", "left out: it is not in base64", ""},
		"too large":          {coder.PromptAttachmentDescriptor{Type: "image", Content: encode(large)}, "", "left out: an image of 524.3 kB", ""},
		"elsewhere":          {coder.PromptAttachmentDescriptor{Type: "image", URL: "https://host.example/x.png"}, "", "left out: it is elsewhere", ""},
		"nothing":            {coder.PromptAttachmentDescriptor{Type: "file"}, "", "its content is not in the session", ""},
		"a text":             {coder.PromptAttachmentDescriptor{Type: "file", Content: "hello"}, "", "", "hello"},
		"data of a file":     {coder.PromptAttachmentDescriptor{Type: "file", Content: "data:application/pdf;base64,xyz"}, "", "left out: it is no text", ""},
	} {
		got := new(conversation).attached(&test.attachment)
		assert.Equal(t, test.image, string(got.Image), name)
		assert.Equal(t, test.note, got.Note, name)
		assert.Equal(t, test.text, got.Text.Text, name)
	}
}
