package declog

import (
	"encoding/json"
	"sync"
	"sync/atomic"
)

// item is one decision on its way to the sinks. The first sink that takes it
// encodes it; the entry is then forgotten.
type item struct {
	log      *Log
	once     sync.Once
	entry    Entry
	bodyless bool // there was no room for the body
	weight   int64
	left     atomic.Int32 // sinks that still have it

	event *Event
	line  []byte
}

// encoded returns the event and its line of JSON, without line break.
func (it *item) encoded() (*Event, []byte) {
	it.once.Do(func() {
		it.event, it.line = it.encode()
		it.entry = Entry{}
	})
	return it.event, it.line
}

func (it *item) encode() (*Event, []byte) {
	ev := newEvent(&it.entry, it.log.labels, it.log.mask)
	if it.bodyless {
		ev.erase("request", "body")
	}
	line, err := ev.encode()
	if err != nil {
		line = nil
	}
	return ev, line
}

// done is called once by each sink.
func (it *item) done() {
	if it.left.Add(-1) == 0 && it.weight > 0 {
		it.log.bodies.Add(-it.weight)
	}
}

// sizeOf is about what a parsed body holds in memory, in bytes.
func sizeOf(v any) int64 {
	const each = 32 // a value and its place in a list or map
	switch v := v.(type) {
	case string:
		return each + int64(len(v))
	case json.Number:
		return each + int64(len(v))
	case []any:
		n := int64(each)
		for _, item := range v {
			n += sizeOf(item)
		}
		return n
	case map[string]any:
		n := int64(each)
		for key, item := range v {
			n += each + int64(len(key)) + sizeOf(item)
		}
		return n
	}
	return each
}
