package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Object is the members of a JSON object as texts, verbatim. Of a name that stands there twice the last one counts.
type Object map[string]json.RawMessage

// Valid says whether text is one JSON text in UTF-8, nested no deeper than encoding/json reads.
func Valid(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// ParseObject is the members of the object in text, which is Valid; nil when it is no object. The texts share text's memory.
func ParseObject(text []byte) Object {
	members := Object{}
	if !EachMember(text, func(name string, value json.RawMessage) { members[name] = value }) {
		return nil
	}
	return members
}

// EachMember calls visit with each member of the object in text, which is Valid, in order. It says whether text is an object.
//
// Names are compared as they are, unlike the fields of encoding/json, which also match with other letter case.
func EachMember(text []byte, visit func(name string, value json.RawMessage)) bool {
	at := skipSpace(text, 0)
	if at == len(text) || text[at] != '{' {
		return false
	}
	at = skipSpace(text, at+1)
	for text[at] != '}' {
		end := skipString(text, at)
		name := Unquote(text[at:end])
		at = skipSpace(text, skipSpace(text, end)+1) // behind the colon
		end = skipValue(text, at)
		visit(name, json.RawMessage(text[at:end:end]))
		at = skipComma(text, end)
	}
	return true
}

// Elements is the elements of the array in text, which is Valid, and whether it is an array. The texts share text's memory.
func Elements(text []byte) ([]json.RawMessage, bool) {
	at := skipSpace(text, 0)
	if at == len(text) || text[at] != '[' {
		return nil, false
	}
	elements := []json.RawMessage{}
	at = skipSpace(text, at+1)
	for text[at] != ']' {
		end := skipValue(text, at)
		elements = append(elements, json.RawMessage(text[at:end:end]))
		at = skipComma(text, end)
	}
	return elements, true
}

// Unquote is the string that the JSON string in text stands for. A lone surrogate becomes U+FFFD.
func Unquote(text []byte) string {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var value string
	_ = json.Unmarshal(text, &value) // text is valid
	return value
}

// AppendString appends value as a JSON string, with no more escapes than JSON asks for. value is UTF-8.
func AppendString(dst []byte, value string) []byte {
	dst = append(dst, '"')
	start := 0
	for at := 0; at < len(value); at++ {
		c := value[at]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, value[start:at]...)
		start = at + 1
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	dst = append(dst, value[start:]...)
	return append(dst, '"')
}

// Integer is the whole number that text stands for, and whether it is one.
func Integer(text []byte) (int64, bool) {
	value, err := strconv.ParseInt(string(text), 10, 64)
	return value, err == nil
}

// The steps of a walk through text, which is Valid: each takes a position and gives the one behind what it read.

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}

// skipComma passes over the space and the comma behind a value, up to the next one or the closing bracket.
func skipComma(text []byte, at int) int {
	at = skipSpace(text, at)
	if text[at] == ',' {
		at = skipSpace(text, at+1)
	}
	return at
}

func skipString(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func skipValue(text []byte, at int) int {
	switch text[at] {
	case '"':
		return skipString(text, at)
	case '{', '[':
		return skipNested(text, at)
	}
	for at < len(text) && bytes.IndexByte([]byte(",]} \t\r\n"), text[at]) < 0 {
		at++
	}
	return at
}

func skipNested(text []byte, at int) int {
	for depth := 0; ; {
		switch text[at] {
		case '"':
			at = skipString(text, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		at++
		if depth == 0 {
			return at
		}
	}
}
