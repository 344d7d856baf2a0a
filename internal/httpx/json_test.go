package httpx

import (
	"encoding/json"
	"errors"
	"testing"
)

type sample struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Tags  map[string]string `json:"tags,omitempty"`
}

func TestJSONIsReadStrictly(t *testing.T) {
	for body, want := range map[string]int{
		`{"name":"a","count":1,"tags":{"x":"y"}}`: 0, `{}`: 0, " {\n}\t": 0,
		``: 400, `null`: 400, `"a"`: 400, `{"name":"a"}x`: 400, `{"name":}`: 400, "{\"name\":\"\xff\"}": 400, `{"a":[1,2}`: 400,
		`{"Name":"a"}`: 422, `{"none":1}`: 422, `{"name":"a","name":"a"}`: 422, `{"tags":{"x":"1","x":"2"}}`: 422,
		`{"count":"1"}`: 422, `{"count":1.5}`: 422, `{"tags":{"x":1}}`: 422, `{"":1}`: 422, `{"name":null}`: 422, `{"tags":null}`: 422, `{"tags":{"x":null}}`: 0,
	} {
		var v sample
		err := ParseJSON([]byte(body), &v)
		var e *Error
		if want == 0 && err != nil || want != 0 && (!errors.As(err, &e) || e.Status != want) {
			t.Errorf("%q: %v, want status %d", body, err, want)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{`{"name":"a","count":1}`, `{"tags":{"x":"y"}}`, `{"a":[{"b":1,"b":2}]}`, `{"name":"\u0000"}`, `{`, `[[[[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v sample
		if ParseJSON(body, &v) != nil {
			return
		}
		// What is taken is JSON that says the same when it is read again.
		text, err := json.Marshal(v)
		var again sample
		if err != nil || ParseJSON(text, &again) != nil || again.Name != v.Name || again.Count != v.Count {
			t.Errorf("%q was read as %+v, which is read as %+v (%v)", body, v, again, err)
		}
	})
}
