package policy

import "slices"

// field is a part of the input that a rule may read.
type field uint32

const (
	fSubject field = 1 << iota
	fUsername
	fEmailDomain
	fGroups
	fUser // that there is a user at all
	fClient
	fScopes
	fClientIP
	fTime
	fMFA
	fACR
	fAuthTime
	fMethod
	fVariables
	// fBody is the state of the body, for routes that judge it.
	fBody
	// These only rules of operators read.
	fName
	fEmail
	fAMR
	fKind
	fIssuer
	fCredentialSubject
	fHost
	fPath
	// fAll is everything, for the rules of operators.
	fAll
)

// reads are the parts of the input that a rule reads. Others are left out of
// its input, which is cheaper, and makes the rule a function of exactly these.
type reads struct {
	fields field
	// claims are the names that YAML conditions look at, sorted. values are those
	// of them that may be one value or a list, scalars those that are asked to be
	// one value, and lists those that are asked to be a list.
	claims, values, scalars, lists []string
	// variables are the path variables that conditions name, sorted.
	variables []string
	// asked are the claims that rules of operators name, sorted: parts of
	// input.credential.claims, as they are.
	asked []string
}

// readsOf returns what the trees read; each may be nil.
func readsOf(trees ...*node) reads {
	of := [...]field{
		kSignedIn: fUser, kGroups: fGroups, kScopes: fScopes, kUsers: fUsername, kClients: fClient,
		kEmailDomains: fEmailDomain, kClaim: 0, kIP: fClientIP, kTime: fTime, kMethod: fMethod,
		kMFA: fMFA, kACR: fACR, kSignedInWithin: fAuthTime | fTime, kOPA: fAll,
	}
	var r reads
	for _, tree := range trees {
		if tree == nil {
			continue
		}
		for _, l := range tree.leaves() {
			r.fields |= of[l.kind]
			if l.kind == kUsers && len(l.subjects()) > 0 {
				r.fields |= fSubject
			}
			r.claim(l)
			r.variables = append(r.variables, l.variables()...)
		}
	}
	for _, names := range []*[]string{&r.claims, &r.values, &r.scalars, &r.lists, &r.variables} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	if len(r.variables) > 0 {
		r.fields |= fVariables
	}
	return r
}

// claim adds what l reads of a claim, if it is about one.
func (r *reads) claim(l *node) {
	if l.kind != kClaim {
		return
	}
	r.claims = append(r.claims, l.claim)
	switch l.form {
	case formEquals:
		r.scalars = append(r.scalars, l.claim)
	case formContains:
		r.lists = append(r.lists, l.claim)
	default:
		r.values = append(r.values, l.claim)
	}
}

// remembered tells whether decisions by what r reads may be remembered: nothing
// in it changes from one request to the next of the same person for the same
// path and method, and all of it is known.
func (r reads) remembered() bool {
	return r.fields&(fTime|fAuthTime|fClientIP|fBody|fAll) == 0
}

// has tells whether f is read.
func (r reads) has(f field) bool { return r.fields&(f|fAll) != 0 }
