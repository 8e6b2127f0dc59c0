package fake

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

// check gives a value as it is to be used, or is Refused with the JSON pointer of what is wrong; pointer is where it stands.
type check func(value any, pointer string) (any, error)

// field is how a value is checked, and whether it must be there.
type field struct {
	check      check
	isRequired bool
}

type fieldTable map[string]field

func optional(c check) field { return field{check: c} }

func required(c check) field { return field{check: c, isRequired: true} }

var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func misshapen(pointer, expected string) error {
	return Unprocessable(pointer, pointer+" must be "+expected, Answer{"expected": expected})
}

// text is a string of at most maxBytes.
func text(maxBytes int) check {
	return func(value any, pointer string) (any, error) {
		found, ok := value.(string)
		if !ok {
			return nil, misshapen(pointer, "a string")
		}
		if len(found) > maxBytes {
			return nil, Invalid(pointer, fmt.Sprintf("%s is longer than %d bytes", pointer, maxBytes), Answer{"limit": maxBytes})
		}
		return found, nil
	}
}

// name is a text that names a queue or a kind of job.
func name(maxBytes int) check {
	return func(value any, pointer string) (any, error) {
		found, err := text(maxBytes)(value, pointer)
		if err == nil && !nameRule.MatchString(found.(string)) {
			return nil, Invalid(pointer, pointer+" must match [A-Za-z0-9._-]+", nil)
		}
		return found, err
	}
}

// workerID is a text that is not empty.
func workerID(value any, pointer string) (any, error) {
	if value == "" {
		return nil, Invalid(pointer, "the worker's id is empty", nil)
	}
	return text(keyBytes)(value, pointer)
}

// oneOf is one of these words.
func oneOf(words ...string) check {
	return func(value any, pointer string) (any, error) {
		found, err := text(keyBytes)(value, pointer)
		if err == nil && !slices.Contains(words, found.(string)) {
			return nil, Invalid(pointer, pointer+" must be one of "+strings.Join(words, ", "), Answer{"expected": words})
		}
		return found, err
	}
}

func integer(low, high int64) check {
	return func(value any, pointer string) (any, error) {
		number, ok := value.(Number)
		if !ok || !number.isInteger() { // 7.0 is none
			return nil, misshapen(pointer, "an integer")
		}
		found, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || found < low || found > high {
			return nil, Invalid(pointer, fmt.Sprintf("%s must be %d to %d", pointer, low, high), Answer{"limit": high})
		}
		return found, nil
	}
}

func fraction(low, high float64) check {
	return func(value any, pointer string) (any, error) {
		number, ok := value.(Number)
		if !ok {
			return nil, misshapen(pointer, "a number")
		}
		found, err := strconv.ParseFloat(string(number), 64)
		if err != nil || found < low || found > high {
			return nil, Invalid(pointer, fmt.Sprintf("%s must be %v to %v", pointer, low, high), nil)
		}
		return found, nil
	}
}

func flag(value any, pointer string) (any, error) {
	if _, ok := value.(bool); !ok {
		return nil, misshapen(pointer, "a boolean")
	}
	return value, nil
}

var instantRule = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)

// moment is a time; milliseconds since the epoch from here on.
func moment(value any, pointer string) (any, error) {
	found, ok := value.(string)
	if !ok {
		return nil, misshapen(pointer, "a time")
	}
	found = strings.ToUpper(found)
	instant, err := time.Parse(time.RFC3339Nano, found)
	if err != nil || !instantRule.MatchString(found) {
		return nil, Invalid(pointer, pointer+" is no RFC 3339 time with an offset", nil)
	}
	return instant.UnixMilli(), nil
}

var hexRule = regexp.MustCompile(`^[0-9a-f]{32}$`)

// uuid is an id in its one spelling.
func uuid(value any, pointer string) (any, error) {
	found, ok := value.(string)
	if !ok {
		return nil, misshapen(pointer, "a UUID")
	}
	hex := strings.TrimPrefix(strings.ToLower(found), "urn:uuid:")
	if strings.HasPrefix(hex, "{") && strings.HasSuffix(hex, "}") {
		hex = hex[1 : len(hex)-1]
	}
	hex = strings.ReplaceAll(hex, "-", "")
	if !hexRule.MatchString(hex) {
		return nil, Invalid(pointer, pointer+" is no UUID", nil)
	}
	return strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]}, "-"), nil
}

// payload is any JSON value within its size and depth.
func payload(maxBytes int) check {
	return func(value any, pointer string) (any, error) {
		found, ok := value.(*Payload)
		switch {
		case !ok: // null
			return (*Payload)(nil), nil
		case len(found.Text) > maxBytes:
			message := fmt.Sprintf("%s (%d bytes) exceeds maximum of %d bytes", pointer, len(found.Text), maxBytes)
			return nil, Invalid(pointer, message, Answer{"limit": maxBytes})
		case found.depth > jsonDepth:
			return nil, badJSON(fmt.Sprintf("%s is nested more than %d levels deep", pointer, jsonDepth))
		}
		return found, nil
	}
}

// metadata is JSON without RustQueue's follow_ups, which nobody would carry out (JW-PUSH-17).
func metadata(value any, pointer string) (any, error) {
	found, err := payload(metadataBytes)(value, pointer)
	if err != nil {
		return nil, err
	}
	if p := found.(*Payload); p != nil {
		if _, has := wire.ParseObject([]byte(p.Text))["follow_ups"]; has {
			return nil, Invalid(pointer+"/follow_ups", "follow_ups are not supported by this server", nil)
		}
	}
	return found, nil
}

func list(item check, maxItems int) check {
	return func(value any, pointer string) (any, error) {
		found, ok := value.([]any)
		if !ok {
			return nil, misshapen(pointer, "a list")
		}
		if len(found) > maxItems {
			return nil, Invalid(pointer, fmt.Sprintf("%s has over %d items", pointer, maxItems), Answer{"limit": maxItems})
		}
		checked := make([]any, len(found))
		for i, each := range found {
			var err error
			if checked[i], err = item(each, fmt.Sprintf("%s/%d", pointer, i)); err != nil {
				return nil, err
			}
		}
		return checked, nil
	}
}

// parentIDs are ids of jobs, each once.
func parentIDs(value any, pointer string) (any, error) {
	ids, err := list(uuid, dependsOnMax)(value, pointer)
	if err != nil {
		return nil, err
	}
	var once []any
	for _, id := range ids.([]any) {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once, nil
}

// nullMeansNull are fields in which a null is a value of its own, and not a field left out.
var nullMeansNull = map[string]bool{"data": true, "result": true}

// record is an object with these fields and no others.
func record(table fieldTable) check {
	return func(value any, pointer string) (any, error) {
		given, err := asObject(value, pointer)
		if err != nil {
			return nil, err
		}
		return table.check(given, pointer)
	}
}

func (table fieldTable) check(given *Object, pointer string) (Fields, error) {
	for _, name := range given.names {
		if _, known := table[name]; !known {
			return nil, Unprocessable(pointer+"/"+name, "unknown field '"+name+"'", nil)
		}
	}
	for _, name := range table.required() {
		if given.Get(name) == nil {
			return nil, Unprocessable(pointer+"/"+name, "missing field '"+name+"'", nil)
		}
	}
	checked := make(Fields)
	for _, name := range given.names {
		if given.Get(name) == nil && !nullMeansNull[name] {
			continue
		}
		value, err := table[name].check(given.Get(name), pointer+"/"+name)
		if err != nil {
			return nil, err
		}
		checked[name] = value
	}
	return checked, nil
}

// required is the names of the fields that must be there, in the order in which they are missed.
func (table fieldTable) required() []string {
	var names []string
	for name, each := range table {
		if each.isRequired {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// asObject is value as the object that it has to be.
func asObject(value any, pointer string) (*Object, error) {
	if object, ok := value.(*Object); ok {
		return object, nil
	}
	return nil, misshapen(pointer, "an object")
}
