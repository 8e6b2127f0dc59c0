package fake

import (
	"math"
	"strconv"
	"strings"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// JSON as the doors read it: what the wire refuses is refused here too, and the JSON of users stays the text that it was.
//
// Rule: the first member on the way down that is called data, result or metadata is a Payload; no operation has a field of that
// name which is anything else.
var payloads = map[string]bool{"data": true, "result": true, "metadata": true}

// Payload is JSON of a user, byte for byte; depth is how deep its lists and objects nest.
type Payload struct {
	Text  string
	depth int
}

// Number is a number as it was written.
type Number string

// isInteger is false for one with a fraction or an exponent, whatever its value.
func (n Number) isInteger() bool { return !strings.ContainsAny(string(n), ".eE") }

// Object is the members of a JSON object, in their order. A value is nil, a bool, a string, a Number, a *Payload, a []any or an
// *Object.
type Object struct {
	names  []string
	values map[string]any
}

// NewObject has no members.
func NewObject() *Object { return &Object{values: make(map[string]any)} }

// Get is nil for a member that is not there.
func (o *Object) Get(name string) any { return o.values[name] }

// Has says whether there is a member of this name, also one that is null.
func (o *Object) Has(name string) bool {
	_, has := o.values[name]
	return has
}

// Set adds a member, or changes it.
func (o *Object) Set(name string, value any) {
	if !o.Has(name) {
		o.names = append(o.names, name)
	}
	o.values[name] = value
}

// Without is a copy that lacks one member.
func (o *Object) Without(name string) *Object {
	copied := NewObject()
	for _, each := range o.names {
		if each != name {
			copied.Set(each, o.values[each])
		}
	}
	return copied
}

// Parse reads one JSON value. PARSE_ERROR is for bad UTF-8, a duplicate key, a number out of range, a lone surrogate and bottomless
// nesting.
func Parse(text []byte) (value any, err error) {
	if !wire.Valid(text) {
		return nil, badJSON("it does not follow RFC 8259")
	}
	r := &reader{text: text}
	value = r.value(0)
	if r.err != nil {
		return nil, r.err
	}
	return value, nil
}

func badJSON(why string) *Refused {
	return &Refused{Code: "PARSE_ERROR", Message: "Invalid JSON: " + why}
}

// reader walks once through a text that is known to be JSON.
type reader struct {
	text      []byte
	at        int
	deepest   int // since the payload began in which it is
	inPayload bool
	err       error // the first one
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = badJSON(why)
	}
}

// value reads what stands next, inside depth lists and objects.
func (r *reader) value(depth int) any {
	switch r.next() {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.list(depth + 1)
	case '"':
		return r.string()
	}
	return r.scalar()
}

func (r *reader) object(depth int) *Object {
	r.deepest = max(r.deepest, depth)
	object := NewObject()
	r.at++
	for r.next() != '}' {
		name := r.string()
		if object.Has(name) {
			r.fail("a key is there twice")
		}
		r.skip(':')
		if payloads[name] && !r.inPayload {
			object.Set(name, r.payload(depth))
		} else {
			object.Set(name, r.value(depth))
		}
		r.skip(',')
	}
	r.at++
	return object
}

func (r *reader) list(depth int) []any {
	r.deepest = max(r.deepest, depth)
	elements := []any{}
	r.at++
	for r.next() != ']' {
		elements = append(elements, r.value(depth))
		r.skip(',')
	}
	r.at++
	return elements
}

// payload is nil for a null, as an interface.
func (r *reader) payload(depth int) any {
	r.next()
	start := r.at
	r.inPayload, r.deepest = true, depth
	value := r.value(depth)
	r.inPayload = false
	if value == nil {
		return nil
	}
	return &Payload{string(r.text[start:r.at]), r.deepest - depth}
}

func (r *reader) string() string {
	r.next()
	start := r.at
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			r.escape()
		}
	}
	r.at++
	return wire.Unquote(r.text[start:r.at])
}

// escape passes over an escape but for its last character, and refuses half of a surrogate pair.
func (r *reader) escape() {
	r.at++
	if r.text[r.at] != 'u' {
		return
	}
	unit := r.unit(r.at)
	r.at += 4
	switch {
	case unit < 0xD800 || unit > 0xDFFF:
	case unit < 0xDC00 && r.text[r.at+1] == '\\' && r.text[r.at+2] == 'u' && r.isLow(r.at+2):
		r.at += 6
	default:
		r.fail("it contains a lone surrogate")
	}
}

func (r *reader) isLow(at int) bool {
	unit := r.unit(at)
	return 0xDC00 <= unit && unit <= 0xDFFF
}

// unit is the number behind the u at this place.
func (r *reader) unit(at int) uint64 {
	unit, _ := strconv.ParseUint(string(r.text[at+1:at+5]), 16, 32) // four digits, for the text is JSON
	return unit
}

func (r *reader) scalar() any {
	start := r.at
	for r.at < len(r.text) && !strings.ContainsRune(",]} \t\r\n", rune(r.text[r.at])) {
		r.at++
	}
	switch text := string(r.text[start:r.at]); text {
	case "null":
		return nil
	case "true", "false":
		return text == "true"
	default:
		number := Number(text)
		if value, _ := strconv.ParseFloat(text, 64); !number.isInteger() && math.IsInf(value, 0) { // integers may have any length
			r.fail("a number is out of range")
		}
		return number
	}
}

// next is the first character that is not white space, or 0 at the end; it stays the next one.
func (r *reader) next() byte {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
	if r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

func (r *reader) skip(mark byte) {
	if r.next() == mark {
		r.at++
	}
}

// Answer is a JSON object to be sent.
type Answer map[string]any

// Text is value as compact JSON, with payloads as they came.
func Text(value any) []byte { return appendJSON(nil, value) }
