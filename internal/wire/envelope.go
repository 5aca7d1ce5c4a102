package wire

// Envelope is what surrounds the payload of an event. Its texts are parts of the text it was read from.
type Envelope struct {
	Type, Event, Category, SessionID []byte
	Data                             []byte // one valid value
	Timestamp                        int64  // in milliseconds
	HasTimestamp                     bool
}

// ReadEnvelope reads an envelope in one pass, in a fraction of the time that a decoder takes which looks its members up.
// It is the one thing that is decoded by hand: a Hub sends thousands of events a second, and nothing else so often.
//
// It reports false for whatever it is not sure of, be it valid or not: a known member that comes twice or has another kind
// than expected, texts and names with escapes or beyond ASCII, deep nesting, what is no JSON. Unmarshal decides then. Of
// members that it does not know it sees that they are valid, and no more.
func ReadEnvelope(text []byte) (e Envelope, sure bool) {
	i := space(text, 0)
	if i == len(text) || text[i] != '{' {
		return e, false
	}
	seen := 0
	for i = space(text, i+1); ; i = space(text, i+1) {
		name, after := plainText(text, i)
		if i = space(text, after); name == nil || i == len(text) || text[i] != ':' {
			return e, false
		}
		i = space(text, i+1)
		bit := 0
		switch string(name) {
		case "type":
			bit = 1
			e.Type, i = plainText(text, i)
		case "event":
			bit = 2
			e.Event, i = plainText(text, i)
		case "category":
			bit = 4
			e.Category, i = plainText(text, i)
		case "sessionId":
			bit = 8
			e.SessionID, i = plainText(text, i)
		case "timestamp":
			bit = 16
			e.HasTimestamp = true
			e.Timestamp, i = wholeNumber(text, i)
		case "data":
			bit = 32
			from := i
			if i = endOfValue(text, i); i >= 0 {
				e.Data = text[from:i:i]
			}
		default:
			i = endOfValue(text, i)
		}
		if i < 0 || seen&bit != 0 {
			return e, false
		}
		seen |= bit
		switch i = space(text, i); {
		case i == len(text):
			return e, false
		case text[i] == '}':
			return e, space(text, i+1) == len(text)
		case text[i] != ',':
			return e, false
		}
	}
}

// space returns where the first byte at or after i is that is no white space.
func space(text []byte, i int) int {
	for i >= 0 && i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// plainText returns what is between the quotes at i, and where they end. The text is nil, and the end negative, if there
// is no text of plain ASCII.
func plainText(text []byte, i int) ([]byte, int) {
	if i < 0 || i >= len(text) || text[i] != '"' {
		return nil, -1
	}
	from := i + 1
	for i = from; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[from:i:i], i + 1
		case c < ' ' || c >= 0x7f || c == '\\':
			return nil, -1
		}
	}
	return nil, -1
}

// wholeNumber returns the number at i, and where it ends, or a negative end.
func wholeNumber(text []byte, i int) (n int64, end int) {
	from := i
	for ; i < len(text) && isDigit(text[i]); i++ {
		n = 10*n + int64(text[i]-'0')
		if i-from == 15 { // beyond what a float64 holds, or close to it
			return 0, -1
		}
	}
	if i == from || text[from] == '0' && i > from+1 || i < len(text) && (text[i] == '.' || text[i]|0x20 == 'e') {
		return 0, -1
	}
	return n, i
}
