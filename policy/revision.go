package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// Revision names what decides: 12 hexadecimal digits of a hash over the
// conditions and requirements of all routes, the operators' modules, their data
// and the revisions of bundles. Policies that decide alike have the same one,
// wherever their files lie.
func (p *Policy) Revision() string { return p.revision }

// Files returns what was read for this policy, sorted: the files of
// policy.custom and policy.data, the folders searched for them, and bundles that
// are files. A change of any of them may change decisions.
func (p *Policy) Files() []string { return slices.Clone(p.library.files) }

// Missing returns the bundles that the configuration names and Compile was not
// given. Conditions that ask for a rule of theirs are not met.
func (p *Policy) Missing() []string { return slices.Clone(p.library.missing) }

// digest hashes parts one by one, each with its length before it.
type digest struct{ hash.Hash }

func (d digest) add(part string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(part)))
	d.Write(size[:])
	d.Write([]byte(part))
}

// revise computes the revision of p from the rules it was compiled from.
func (p *Policy) revise(rules []Rule) error {
	d := digest{sha256.New()}
	for line := range strings.Lines(p.Module()) {
		// Comments hold positions, which differ where files lie elsewhere.
		if !strings.HasPrefix(line, "#") {
			d.add(line)
		}
	}
	for i, r := range rules {
		d.add(r.Route)
		d.add(string(r.Allow.Word))
		if decider := p.routes[i].decider; decider != nil {
			d.add(decider.name) // the module has equal rules once
		}
		if r.Require != nil {
			d.add(fmt.Sprintf("%t %q %s", r.Require.MFA, r.Require.ACR, r.Require.SignedInWithin))
		}
		d.add(fmt.Sprint(r.Bodies))
	}
	for _, text := range p.library.texts {
		d.add(text)
	}
	for _, name := range slices.Sorted(maps.Keys(p.library.revisions)) {
		d.add(name)
		d.add(p.library.revisions[name])
	}
	data, err := json.Marshal(p.library.data)
	if err != nil {
		return fmt.Errorf("hash the data of the policy: %w", err)
	}
	d.add(string(data))
	p.revision = hex.EncodeToString(d.Sum(nil))[:12]
	return nil
}
