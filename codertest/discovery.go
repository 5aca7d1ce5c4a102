package codertest

type discovery struct {
	URL string `json:"url"`
}

func (h *Hub) discover(*call) (any, error) { return discovery{URL: h.URL()}, nil }
