//go:build lead

package reallead

import "fmt"

func (r *rig) dump(after int) {
	for _, e := range r.history() {
		if e.ID <= after || e.Event == "message_update" || e.Event == "context" || e.Event == "tool_execution_update" {
			continue
		}
		p := string(e.Payload)
		if len(p) > 330 {
			p = p[:330]
		}
		fmt.Printf("HIST %d %s %s %s\n", e.ID, e.IngestedAt.Format("05.000"), e.Event, p)
	}
}
