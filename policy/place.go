package policy

import "gatehouse/internal/conf"

// keyAt is where a key of a condition stands.
type keyAt struct {
	key string
	pos conf.Pos
}

// keyPlaces are a few keys with their positions, sorted by key: a list takes a
// fraction of the room of a map, and there is one for each condition.
type keyPlaces []keyAt

// of returns where key stands, and whether it was written.
func (p keyPlaces) of(key string) (conf.Pos, bool) {
	for i := range p {
		if p[i].key == key {
			return p[i].pos, true
		}
	}
	return conf.Pos{}, false
}

func (p keyPlaces) pos(key string) conf.Pos {
	pos, _ := p.of(key)
	return pos
}

func (p keyPlaces) has(key string) bool {
	_, ok := p.of(key)
	return ok
}

// posOf returns where key stands, or the condition itself if that is unknown.
func (c *Condition) posOf(key string) conf.Pos {
	if p := c.at.pos(key); p.Line > 0 {
		return p
	}
	return c.Pos
}

// placedLists are the lists whose names have places, in the order of
// Condition.named.
var placedLists = []string{"groups", "scopes", "users", "clients"}

// placeNames notes where each name in the lists of n, a map, stands; c.at is there.
func (c *Condition) placeNames(n *conf.Node) {
	for _, key := range placedLists {
		if !c.at.has(key) {
			continue
		}
		for _, item := range n.Get(key).Items() {
			c.named = append(c.named, item.Pos().Spot())
		}
	}
}

// posOfName returns where item i of the list under key stands, or the list
// itself if that is unknown.
func (c *Condition) posOfName(key string, i int) conf.Pos {
	for _, list := range placedLists {
		if list == key {
			break
		}
		i += len(*c.list(list))
	}
	if i < len(c.named) {
		return c.named[i].In(c.Pos.File)
	}
	return c.posOf(key)
}
