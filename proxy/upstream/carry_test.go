package upstream

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pieces counts what is written at once.
type pieces struct {
	sizes []int
	text  strings.Builder
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	return p.text.Write(b)
}

func TestALargeBodyDoesNotBeginWithASmallWrite(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	body := io.MultiReader(strings.NewReader(text[:100]), strings.NewReader(text[100:200]), strings.NewReader(text[200:]))
	var got pieces
	if err := copyThrough(&got, &gathered{body: body, least: serverBuffer}, make([]byte, copySize), func() {}); err != nil {
		t.Fatal(err)
	}
	if got.text.String() != text || len(got.sizes) != 1 {
		t.Errorf("%d bytes in writes of %v, want %d in one", got.text.Len(), got.sizes, len(text))
	}
}

func TestWhatIsGatheredIsNotLost(t *testing.T) {
	broken := errors.New("broken off")
	for _, want := range []error{nil, broken, io.ErrUnexpectedEOF} {
		body := io.Reader(iotest.OneByteReader(strings.NewReader("begun")))
		if want != nil {
			body = io.MultiReader(body, iotest.ErrReader(want))
		}
		var got pieces
		err := copyThrough(&got, &gathered{body: body, least: serverBuffer}, make([]byte, copySize), func() {})
		if got.text.String() != "begun" || !errors.Is(err, want) {
			t.Errorf("%q and %v, want begun and %v", got.text.String(), err, want)
		}
	}
}
