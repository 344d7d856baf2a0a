package app

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/internal/watch"
)

var (
	posType  = reflect.TypeFor[conf.Pos]()
	spotType = reflect.TypeFor[conf.Spot]()
	zoneType = reflect.TypeFor[time.Location]()
)

// fingerprint is the same for values of configuration that say the same,
// wherever they stand in the file: 32 bytes. Secrets count, so it must not be
// shown to anybody.
func fingerprint(values ...any) string {
	p := printer{sha256.New()}
	for _, v := range values {
		p.value(reflect.ValueOf(v))
	}
	return string(p.Sum(nil))
}

// same tells whether two values of configuration say the same: whether their
// fingerprints would be equal.
func same(a, b any) bool { return alike(reflect.ValueOf(a), reflect.ValueOf(b)) }

func alike(a, b reflect.Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		return alike(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		for i := range min(a.Len(), b.Len()) {
			if !alike(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Struct:
		return a.Type() == b.Type() && alikeFields(a, b)
	case reflect.Invalid:
		return true
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return a.Equal(b)
	default: // maps, whose keys may be alike without being equal, and what is rare
		return fingerprintOf(a) == fingerprintOf(b)
	}
}

func alikeFields(a, b reflect.Value) bool {
	switch a.Type() {
	case posType, spotType:
		return true
	case zoneType:
		return a.FieldByName("name").String() == b.FieldByName("name").String()
	}
	for i := range a.NumField() {
		if !alike(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

func fingerprintOf(v reflect.Value) string {
	p := printer{sha256.New()}
	p.value(v)
	return string(p.Sum(nil))
}

// printer writes values so that no two different ones give the same bytes.
// Values of configuration hold no circles.
type printer struct{ hash.Hash }

func (p printer) word(s string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(s)))
	p.Write(length[:]) // a hash never returns an error
	io.WriteString(p, s)
}

func (p printer) value(v reflect.Value) {
	p.word(v.Kind().String())
	switch v.Kind() {
	case reflect.Invalid:
	case reflect.Bool:
		p.word(fmt.Sprint(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.word(fmt.Sprint(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.word(fmt.Sprint(v.Uint()))
	case reflect.Float32, reflect.Float64:
		p.word(fmt.Sprint(v.Float()))
	case reflect.String:
		p.word(v.String())
	case reflect.Pointer, reflect.Interface:
		p.value(v.Elem())
	case reflect.Slice, reflect.Array:
		p.word(fmt.Sprint(v.Len()))
		for i := range v.Len() {
			p.value(v.Index(i))
		}
	case reflect.Map:
		p.pairs(v)
	case reflect.Struct:
		p.fields(v)
	default:
		// A function or a channel is not configuration: no two are the same.
		p.word(fmt.Sprint(v.Pointer()))
	}
}

func (p printer) fields(v reflect.Value) {
	p.word(v.Type().String())
	switch v.Type() {
	case posType, spotType:
		return
	case zoneType:
		// Its other fields remember what was looked up last.
		p.word(v.FieldByName("name").String())
		return
	}
	for i := range v.NumField() {
		p.value(v.Field(i))
	}
}

func (p printer) pairs(v reflect.Value) {
	var pairs []string
	for at := v.MapRange(); at.Next(); {
		one := printer{sha256.New()}
		one.value(at.Key())
		one.value(at.Value())
		pairs = append(pairs, string(one.Sum(nil)))
	}
	slices.Sort(pairs)
	p.word(strings.Join(pairs, ""))
}

// content sums up files that a part reads by itself: with the same configuration
// but another content it is another part.
func content(files ...string) string { return watch.Look(files...).Sum() }
