package world

import (
	"fmt"
	"hash/fnv"
	"time"
)

// workspaceSnapshot is the prepared image of a workspace.
type workspaceSnapshot struct {
	Status          string `json:"status"`
	SnapshotID      string `json:"snapshotId,omitzero"`
	SnapshotRef     string `json:"snapshotRef,omitzero"`
	BaseSnapshotRef string `json:"baseSnapshotRef,omitzero"`
	ConfigHash      string `json:"configHash,omitzero"`
	BuildID         string `json:"buildId,omitzero"`
	RequestedAt     string `json:"requestedAt"`
	UpdatedAt       string `json:"updatedAt"`
	CreatedAt       string `json:"createdAt,omitzero"`

	builds int
}

// requestSnapshot queues a build. Until it is done, the last image stays.
func (w *workspace) requestSnapshot(now time.Time) {
	if w.Snapshot == nil {
		w.Snapshot = new(workspaceSnapshot)
	}
	s := w.Snapshot
	s.builds++
	s.Status = "queued"
	s.BuildID = fmt.Sprintf("bld_%s_%d", w.ID, s.builds)
	s.RequestedAt, s.UpdatedAt = iso(now), iso(now)
}

// advanceSnapshot moves a build on, from queued to building to ready.
func (w *workspace) advanceSnapshot(now time.Time) {
	s := w.Snapshot
	if s == nil || s.Status == "ready" {
		return
	}
	s.UpdatedAt = iso(now)
	if s.Status == "queued" {
		s.Status = "building"
		return
	}
	s.Status = "ready"
	s.SnapshotID = fmt.Sprintf("snp_%s_%d", w.ID, s.builds)
	s.SnapshotRef = w.ID + ":latest"
	s.BaseSnapshotRef = "coder-base:latest"
	s.ConfigHash = w.configHash()
	s.CreatedAt = iso(now)
}

// configHash tells two configurations of an image apart.
func (w *workspace) configHash() string {
	hash := fnv.New32a()
	_, _ = fmt.Fprintf(hash, "%q %q", w.Dependencies, w.SetupScript)
	return fmt.Sprintf("%08x", hash.Sum32())
}

func (all *workspaces) refreshSnapshot(c *Call) (any, error) {
	w, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	w.requestSnapshot(time.Now())
	return workspaceAnswer{w.answer()}, nil
}
