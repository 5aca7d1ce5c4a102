package coder

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/agentuity/coder-go/internal/flight"
)

// hubResolver knows the base URL of the Hub, or how to find it.
type hubResolver struct {
	fixed    string // given: nothing to discover
	catalyst string // where to ask
	regional bool   // catalyst was computed from a region
	found    atomic.Pointer[string]
	flights  flight.Group[string]
}

// newHubResolver reads the environment; it requests nothing.
func newHubResolver(cfg *config) (*hubResolver, error) {
	for _, source := range []struct{ field, value string }{
		{"WithURL", cfg.url}, {"AGENTUITY_CODER_URL", os.Getenv("AGENTUITY_CODER_URL")},
	} {
		if strings.TrimSpace(source.value) == "" {
			continue
		}
		base, err := normalizeHubURL(source.value)
		if err != nil {
			return nil, invalid("NewClient", source.field, err.Error())
		}
		return &hubResolver{fixed: base}, nil
	}
	if cfg.apiKey == "" && !cfg.hasCredential {
		missing := invalid("NewClient", "the API key",
			"is missing: set AGENTUITY_SDK_KEY or use WithAPIKey, or name a Hub with AGENTUITY_CODER_URL or WithURL")
		missing.Err = ErrMissingAPIKey
		return nil, missing
	}
	for _, field := range []string{"AGENTUITY_CATALYST_URL", "AGENTUITY_TRANSPORT_URL"} {
		if value := os.Getenv(field); value != "" {
			base, err := normalizeHubURL(value)
			if err != nil {
				return nil, invalid("NewClient", field, err.Error())
			}
			return &hubResolver{catalyst: base}, nil
		}
	}
	region, field := cfg.region, "WithRegion"
	if region == "" {
		region, field = firstOf(os.Getenv("AGENTUITY_REGION"), "usc"), "AGENTUITY_REGION"
	}
	if !validRegion(region) {
		return nil, invalid("NewClient", field, "must be letters, digits and hyphens")
	}
	return &hubResolver{catalyst: catalystURL(region), regional: true}, nil
}

// URL returns the base URL of the Hub, without /api and without a slash at the end. The first call may have
// to discover it, with GET /coder at the Agentuity API. Concurrent callers share that request. Its result is
// kept; a failure is not.
func (c *Client) URL(ctx context.Context) (string, error) { return c.hubURL(ctx, "URL") }

func (c *Client) hubURL(ctx context.Context, op string) (string, error) {
	h := c.hub
	if h.fixed != "" {
		return h.fixed, nil
	}
	if found := h.found.Load(); found != nil {
		return *found, nil
	}
	base, err := h.flights.Do(ctx, "", func(ctx context.Context) (string, error) {
		base, err := c.discover(ctx)
		if err == nil {
			h.found.Store(&base)
		}
		return base, err
	})
	switch {
	case err == nil:
		return base, nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return "", get(op, discoveryPath).requestError(SentNo, contextError(ctx, ctx.Err(), nil))
	default:
		return "", get(op, discoveryPath).requestError(SentNo, &reason{"the Hub was not found: " + innerText(err), err})
	}
}

// forget drops a discovered URL at which no Hub can be reached any more.
func (h *hubResolver) forget(base string) {
	if found := h.found.Load(); found != nil && *found == base {
		h.found.CompareAndSwap(found, nil)
	}
}

const (
	discoveryPath = "/coder"
	regionHeader  = "X-Agentuity-Region"
)

type discovery struct {
	Address string `json:"url"`
}

func (d *discovery) problem() error { return missingText("url", d.Address) }

// discover asks where the Hub is. An answer 421 names the region to ask instead; it is followed
// once, and only if we computed the address from a region ourselves.
func (c *Client) discover(ctx context.Context) (string, error) {
	base := c.hub.catalyst
	found, err := c.askCatalyst(ctx, base)
	var misdirected *APIError
	if c.hub.regional && errors.As(err, &misdirected) && misdirected.StatusCode == http.StatusMisdirectedRequest &&
		validRegion(misdirected.region) {
		base = catalystURL(misdirected.region)
		found, err = c.askCatalyst(ctx, base)
	}
	if err != nil {
		return "", err
	}
	return found, nil
}

// askCatalyst asks one API where the Hub is, and returns the URL in its normal form.
func (c *Client) askCatalyst(ctx context.Context, base string) (string, error) {
	a := c.exchange(ctx, get("URL", discoveryPath), base+discoveryPath)
	hub, err := a.discovered(base)
	return hub, a.over(err)
}

// discovered is the URL that an answer of the API at base names.
func (a *response) discovered(base string) (string, error) {
	found, err := decodeUnobserved[discovery](a)
	if err != nil {
		return "", err
	}
	hub, err := normalizeHubURL(found.Address)
	if err == nil && strings.HasPrefix(base, "https:") && strings.HasPrefix(hub, "http:") && !isLoopback(hub) {
		err = errors.New("is not encrypted, although discovery was")
	}
	if err != nil {
		return "", a.unusable("the discovered URL "+err.Error(), nil)
	}
	return hub, nil
}

// catalystURL is the address of discovery in a region.
func catalystURL(region string) string {
	if region == "local" || region == "l" {
		return "https://catalyst.agentuity.io"
	}
	return "https://catalyst-" + region + ".agentuity.cloud"
}

func validRegion(region string) bool {
	return region != "" && !strings.ContainsFunc(region, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// normalizeHubURL brings the forms in which people write the URL of a Hub to one: http or https,
// no slash at the end, no /api/ws or /api/hub. Its errors never repeat the URL, which may hold secrets.
func normalizeHubURL(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return "", errors.New("is not a URL")
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return "", errors.New("must be an absolute http or https URL")
	}
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return "", errors.New("must be an absolute http or https URL")
	case u.User != nil:
		return "", errors.New("must not contain a user name or password")
	case strings.ContainsFunc(u.Hostname(), notInHost):
		return "", errors.New("has a character in its host name that no host name has")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return "", errors.New("must not have a query or a fragment")
	}
	path := u.EscapedPath()
	for {
		shorter := strings.TrimRight(path, "/")
		shorter = strings.TrimSuffix(strings.TrimSuffix(shorter, "/api/ws"), "/api/hub")
		if shorter == path {
			break
		}
		path = shorter
	}
	if n, err := strconv.Atoi(cmp.Or(u.Port(), "80")); err != nil || n > 65535 {
		return "", errors.New("has a port that does not exist")
	}
	if slices.ContainsFunc(strings.Split(u.Path, "/"), func(element string) bool { return element == "." || element == ".." }) {
		return "", errors.New(`must not have "." or ".." in its path`)
	}
	base := u.Scheme + "://" + u.Host + path
	if _, err := url.Parse(base); err != nil { // hosts of http URLs are held to more than those of others
		return "", errors.New("is not a URL")
	}
	return base, nil
}

// notInHost reports whether a character is in no host name. Package net/url lets many pass, such as quotes, commas and
// those that turn the direction of a text, and the URL of a Hub is printed. The colon is that of an IPv6 address.
func notInHost(r rune) bool {
	return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("-._:", r)
}

func isLoopback(hub string) bool {
	u, err := url.Parse(hub)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
