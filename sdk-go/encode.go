package jobwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// encodeJSON is value as JSON without needless escapes. A json.RawMessage is kept verbatim, but for white space.
func encodeJSON(name string, value any) (json.RawMessage, error) {
	var buffer bytes.Buffer
	var err error
	if raw, ok := value.(json.RawMessage); ok && raw != nil {
		if !utf8.Valid(raw) {
			return nil, notUTF8(name)
		}
		err = json.Compact(&buffer, raw) // an Encoder of Go 1.27 escapes what is in it
	} else {
		encoder := json.NewEncoder(&buffer)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(value)
	}
	if err != nil {
		return nil, invalid(name, "%s cannot be sent as JSON: %s", name, whyNotJSON(err))
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// whyNotJSON says what is wrong without the payload, which the text of an encoding error may show in part.
func whyNotJSON(err error) string {
	var typed *json.UnsupportedTypeError
	var valued *json.UnsupportedValueError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typed):
		return typed.Type.String() + " has no JSON"
	case errors.As(err, &valued):
		return "it has NaN, an infinity or a cycle"
	case errors.As(err, &syntax):
		return "a json.RawMessage or the text of a MarshalJSON method is not JSON"
	}
	return "a MarshalJSON method failed"
}

// milliseconds is d as whole milliseconds, rounded up so that something above 0 never becomes 0; NoDelay is 0.
func milliseconds(name string, d time.Duration) (int64, error) {
	switch {
	case d == NoDelay:
		return 0, nil
	case d < 0:
		return 0, invalid(name, "%s must not be negative, got %v", name, d)
	case d > limitDurationMS*time.Millisecond:
		return 0, invalid(name, "%s must be at most %v, got %v", name, limitDurationMS*time.Millisecond, d)
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond), nil
}

// builder collects the fields of a request; what is left out is not sent. The first error is kept.
type builder struct {
	fields members
	err    error
}

func (b *builder) add(name string, value any) { b.fields = append(b.fields, member{name, value}) }

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *builder) text(name, value string) {
	if value != "" {
		b.add(name, value)
	}
}

func (b *builder) number(name string, value int) {
	if value != 0 {
		b.add(name, value)
	}
}

func (b *builder) flag(name string, value bool) {
	if value {
		b.add(name, true)
	}
}

func (b *builder) texts(name string, values []string) {
	if values != nil {
		b.add(name, values)
	}
}

func (b *builder) json(name string, value any) {
	raw, err := encodeJSON(name, value)
	if err != nil {
		b.fail(err)
		return
	}
	b.add(name, raw)
}

// duration adds a field in milliseconds; 0 is left out, NoDelay is 0.
func (b *builder) duration(name string, d time.Duration) {
	if d == 0 {
		return
	}
	ms, err := milliseconds(name, d)
	if err != nil {
		b.fail(err)
		return
	}
	b.add(name, ms)
}

func (b *builder) durations(name string, values []time.Duration) {
	if values == nil {
		return
	}
	listed := make([]int64, len(values))
	for i, d := range values {
		ms, err := milliseconds(name, d)
		if err != nil {
			b.fail(err)
		}
		listed[i] = ms
	}
	b.add(name, listed)
}

func (b *builder) instant(name string, instant time.Time) {
	if instant.IsZero() {
		return
	}
	utc := instant.UTC()
	if utc.Year() < 0 || utc.Year() > 9999 {
		b.fail(invalid(name, "%s must be in the years 0 to 9999", name))
		return
	}
	b.add(name, utc.Format("2006-01-02T15:04:05.000Z"))
}

func (b *builder) fraction(name string, value float64) {
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		b.fail(invalid(name, "%s must be a number", name))
	case value != 0:
		b.add(name, value)
	}
}

// between adds a duration that has limits, in milliseconds; 0 is left out.
func (b *builder) between(name string, d time.Duration, low, high int64) {
	if d == 0 {
		return
	}
	ms, err := milliseconds(name, d)
	switch {
	case err != nil:
		b.fail(err)
	case ms < low || ms > high:
		lowest, highest := time.Duration(low)*time.Millisecond, time.Duration(high)*time.Millisecond
		b.fail(invalid(name, "%s must be %v to %v, got %v", name, lowest, highest, d))
	default:
		b.add(name, ms)
	}
}

func (b *builder) lease(d time.Duration) { b.between("lease_ms", d, limitLeaseMSMin, limitLeaseMSMax) }

func (b *builder) wait(d time.Duration) { b.between("wait_ms", d, 0, limitWaitMS) }

// cutUTF8 is text cut to limit bytes, never inside a character; bytes that are not UTF-8 become U+FFFD.
func cutUTF8(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
