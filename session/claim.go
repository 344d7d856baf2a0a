package session

// StringList returns a claim that is a list of strings, without empty ones; nil
// if none are left. ok is false for anything else: a claim of the wrong shape
// says nothing.
func StringList(claim any) (list []string, ok bool) {
	items, ok := claim.([]any)
	for _, item := range items {
		s, isString := item.(string)
		if !isString {
			return nil, false
		}
		if s != "" {
			list = append(list, s)
		}
	}
	return list, ok
}
