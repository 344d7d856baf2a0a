package conf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of Size, the largest first, so that String finds the shortest form.
var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// ParseSize reads 512, 64KiB, 10MiB or 1GiB: a whole number of bytes, or of
// powers of 1024. Anything else is an error, 10MB among it, which half of its
// readers take for a million.
func ParseSize(text string) (Size, error) {
	number, factor := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = strings.TrimSuffix(n, " "), u.bytes
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return 0, errors.New("want a size such as 512, 64KiB, 10MiB or 1GiB")
	}
	if int64(n) > math.MaxInt64/factor {
		return 0, errors.New("the size is too large")
	}
	return Size(int64(n) * factor), nil
}

// String renders the size as it is written in YAML, in the largest unit that
// divides it.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
