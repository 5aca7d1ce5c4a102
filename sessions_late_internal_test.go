package coder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestRecentIDs: what is forgotten is not said to be missing, and memory is bounded.
func TestRecentIDs(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	r := recentIDs{floor: 10}
	missing := func(since time.Time) any {
		if above, some := r.missing(since); some {
			return above
		}
		return "none"
	}
	assert.Equal(t, "none", missing(start))
	for id := 11; id <= 5000; id++ {
		r.add(id, start.Add(time.Duration(id)*time.Second))
		assert.False(t, r.lacks(id))
		assert.Less(t, len(r.all), 2*recentMost)
	}
	r.add(5000, start)
	assert.Equal(t, "none", missing(start))
	assert.True(t, r.lacks(5001))
	assert.False(t, r.lacks(10), "nobody knows")
	assert.False(t, r.lacks(1500), "nobody knows any more")
	assert.GreaterOrEqual(t, len(r.all), recentMost)
	assert.Equal(t, r.all[0].id, r.floor+1)

	r.add(5003, start.Add(2*time.Hour))
	r.add(5010, start.Add(3*time.Hour))
	assert.Equal(t, 5000, missing(start.Add(time.Hour)))
	assert.Equal(t, 5003, missing(start.Add(150*time.Minute)))
	assert.Equal(t, "none", missing(start.Add(3*time.Hour)))
	assert.True(t, r.lacks(5001))
	r.add(5001, start)
	r.add(5002, start)
	assert.False(t, r.lacks(5001))
	assert.Equal(t, 5003, missing(start.Add(time.Hour)))
	assert.Equal(t, "none", missing(start.Add(4*time.Hour)))

	r = recentIDs{floor: 10}
	r.add(12, start)
	assert.Equal(t, 10, missing(start.Add(-time.Hour)), "the first is missing")
}
