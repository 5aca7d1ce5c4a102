package main

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/agentuity/coder-go"
)

// largestImage is how many bytes an image may have that is shown. Browsers take longer with a page of many large ones.
const largestImage = 512 << 10

// shownImages are the types that are shown. SVG is a document, which may have more in it than an image.
var shownImages = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// attachment is what came with a prompt.
type attachment struct {
	Name string
	// Image is a data: URL, empty if there is no image to show.
	Image template.URL
	Text  passage // of the file
	Note  string  // why neither is there
}

// attached is what is shown of an attachment. Nothing is fetched.
func (c *conversation) attached(d *coder.PromptAttachmentDescriptor) attachment {
	a := attachment{Name: line(d.Name)}
	if a.Name == "" {
		a.Name = "unnamed " + line(d.Type)
	}
	content, encoded := d.Content, strings.HasPrefix(d.Content, "data:")
	if content == "" && strings.HasPrefix(d.URL, "data:") {
		content, encoded = d.URL, true
	}
	image := d.Type == "image" || strings.HasPrefix(d.MimeType, "image/") || encoded && strings.HasPrefix(content, "data:image/")
	switch {
	case image && content != "":
		a.Image, a.Note = dataImage(content)
	case encoded:
		a.Note = "left out: it is no text"
	case content != "":
		a.Text = c.passage(content)
	case d.URL != "":
		a.Note = "left out: it is elsewhere"
	default:
		a.Note = "its content is not in the session"
	}
	return a
}

// dataImage makes a data: URL of an image, or says why there is none. Its type is what its bytes say, and it is encoded
// anew, so that nothing of the Hub's spelling gets into the page.
func dataImage(content string) (image template.URL, note string) {
	if head, body, found := strings.Cut(content, ","); found && strings.HasPrefix(head, "data:") {
		if !strings.HasSuffix(head, ";base64") {
			return "", "left out: it is not in base64"
		}
		content = body
	}
	if n := base64.StdEncoding.DecodedLen(len(content)); n > largestImage {
		return "", fmt.Sprintf("left out: an image of %s", size(int64(n)))
	}
	decoded, err := base64.StdEncoding.DecodeString(content)
	if err != nil {
		return "", "left out: it is not in base64"
	}
	mime := http.DetectContentType(decoded)
	if !slices.Contains(shownImages, mime) {
		return "", "left out: it is no PNG, JPEG, GIF or WebP"
	}
	return template.URL("data:" + mime + ";base64," + base64.StdEncoding.EncodeToString(decoded)), ""
}
