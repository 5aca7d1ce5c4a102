package faultproxy

import "net"

// begin does what a fault does when a request begins. It returns false if that was the end of the connection.
func (b *pair) begin(exchange int, fault Fault) bool {
	switch fault.Kind {
	case ResetBefore:
		b.count(fault.Kind)
		b.reset()
		return false
	case CloseIdle:
		if exchange < 2 {
			return true // it was never idle
		}
		b.count(fault.Kind)
		b.close()
		return false
	case StallRequest:
		b.count(fault.Kind)
		b.pause(fault.Wait)
		b.close()
		return false
	}
	return true
}

// do passes on a piece of an answer, after so many bytes of the same answer, as the fault wants it. It returns false if
// that was the end of the connection.
func (b *pair) do(client net.Conn, piece []byte, before int, fault Fault) bool {
	after := fault.After - before // of this piece
	reached := after >= 0 && after < len(piece)
	switch fault.Kind {
	case Delay:
		if before == 0 {
			b.count(fault.Kind)
			if !b.pause(fault.Wait) {
				return false
			}
		}
	case ResetAfter:
		b.count(fault.Kind)
		b.reset()
		return false
	case ResetMiddle, Truncate:
		if !reached {
			break
		}
		b.count(fault.Kind)
		_, _ = client.Write(piece[:after])
		if fault.Kind == ResetMiddle {
			b.reset()
		} else {
			b.close()
		}
		return false
	case Stall:
		if !reached {
			break
		}
		b.count(fault.Kind)
		if _, err := client.Write(piece[:after]); err != nil || !b.pause(fault.Wait) {
			return false
		}
		piece = piece[after:]
	case Drip:
		if before == 0 {
			b.count(fault.Kind)
		}
		for ; after > 0 && len(piece) > 0; after-- {
			if !b.pause(fault.Wait) {
				return false
			}
			if _, err := client.Write(piece[:1]); err != nil {
				return false
			}
			piece = piece[1:]
		}
	}
	_, err := client.Write(piece)
	return err == nil
}
