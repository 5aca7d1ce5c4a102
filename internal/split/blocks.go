package split

import "bytes"

// Blocks takes a stream of events apart into its blocks: one ends with a line that is empty. Lines end with LF, CR, or both.
type Blocks struct {
	// Most is how much is kept of a block, in bytes.
	Most int64
	// Block is called with each block that is whole, with what was kept of it, and how many bytes were not. It may keep it.
	Block func(block []byte, omitted int64)

	held      []byte
	omitted   int64
	lineBegun bool
	afterCR   bool // an LF may follow, which belongs to it
}

// Take takes what has gone by.
func (b *Blocks) Take(p []byte) {
	if b.afterCR && len(p) > 0 {
		b.afterCR = false
		if p[0] == '\n' {
			p = p[1:]
			if len(b.held) > 0 || b.omitted > 0 {
				b.keep([]byte{'\n'})
			}
		}
	}
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		b.afterCR = end == len(p)-1 && p[end] == '\r'
		if end < 0 {
			b.lineBegun = true
			b.keep(p)
			return
		}
		empty := end == 0 && !b.lineBegun
		b.lineBegun = false
		if end++; p[end-1] == '\r' && end < len(p) && p[end] == '\n' {
			end++
		}
		b.keep(p[:end])
		p = p[end:]
		if empty {
			b.End()
		}
	}
}

func (b *Blocks) keep(p []byte) {
	room := max(0, b.Most-int64(len(b.held)))
	kept := p[:min(int64(len(p)), room)]
	b.held = append(b.held, kept...)
	b.omitted += int64(len(p) - len(kept))
}

// End ends the block that has begun, if there is one.
func (b *Blocks) End() {
	held, omitted := b.held, b.omitted
	b.held, b.omitted = nil, 0
	if len(held) > 0 || omitted > 0 {
		b.Block(held, omitted)
	}
}
