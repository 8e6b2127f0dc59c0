package jobwire

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

type valueVector struct {
	ID   string
	Text string
}

func TestEveryValueOfTheSpecificationSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	for _, row := range readVectors[valueVector](t, "json_values.json") {
		t.Run(row.ID, func(t *testing.T) {
			t.Parallel()
			encoded, err := encodeJSON("data", json.RawMessage(row.Text))
			if err != nil {
				t.Fatal(err)
			}
			f := &fields{}
			job := parseJob(f, json.RawMessage(`{"id":"a","data":`+row.Text+`}`))

			same(t, nil, f.err)
			same(t, row.Text, string(job.Data))
			if got := string(encoded); row.Text != got && compact(t, row.Text) != got {
				t.Errorf("want %s, got %s", row.Text, got)
			}
		})
	}
}

// compact is text without the white space between its parts.
func compact(t *testing.T, text string) string {
	t.Helper()
	var parts strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			parts.WriteByte(c)
			i++
		case c == '"':
			inString = !inString
		case !inString && strings.IndexByte(" \t\r\n", c) >= 0:
			continue
		}
		parts.WriteByte(text[i])
	}
	return parts.String()
}

type mail struct {
	To string `json:"to"`
}

type badMarshaler struct{}

func (badMarshaler) MarshalJSON() ([]byte, error) { return nil, errors.New("secret-payload") }

func TestJSONIsCompactAndHasNoNeedlessEscapes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value any
		want  string
	}{
		{map[string]any{"a": []any{1, "ä <&>"}, "b": nil}, `{"a":[1,"ä <&>"],"b":null}`},
		{mail{"x"}, `{"to":"x"}`},
		{nil, `null`},
		{json.RawMessage(nil), `null`},
		{json.RawMessage(` { "a" : 1.10 } `), `{"a":1.10}`},
		{json.Number("12345678901234567890"), `12345678901234567890`},
	} {
		got, err := encodeJSON("data", row.value)
		if err != nil || row.want != string(got) {
			t.Errorf("want %s, got %s, %v", row.want, got, err)
		}
	}
}

func TestWhatIsNotJSONIsRefusedBeforeSendingAndNotShown(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["secret-payload"] = cycle
	for name, value := range map[string]any{
		"NaN": math.NaN(), "Inf": []float64{math.Inf(1)}, "Channel": map[string]any{"secret-payload": make(chan int)},
		"Func": func() {}, "Cycle": cycle, "Marshaler": badMarshaler{}, "RawMessage": json.RawMessage(`{"secret-payload":`),
		"TwoValues": json.RawMessage(`1 2`), "NotUTF8": json.RawMessage("\"secret-payload\xff\""), "Number": json.Number("1x"),
	} {
		_, err := encodeJSON("data", value)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != "VALIDATION_ERROR" || refused.Details["pointer"] != "/data" {
			t.Errorf("%s led to %v", name, err)
		} else if strings.Contains(err.Error(), "secret-payload") {
			t.Errorf("%s is shown: %v", name, err)
		}
	}
}

func TestDurationsBecomeMillisecondsAndNeverVanish(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		d    time.Duration
		want int64
	}{{0, 0}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2}, {1500 * time.Millisecond, 1500}, {NoDelay, 0}} {
		if got, err := milliseconds("delay", row.d); err != nil || row.want != got {
			t.Errorf("%v became %d, %v", row.d, got, err)
		}
	}
	for _, d := range []time.Duration{-2, -time.Hour, math.MaxInt64} {
		if _, err := milliseconds("delay", d); !errors.Is(err, ErrValidation) || !strings.Contains(err.Error(), "delay") {
			t.Errorf("%v led to %v", d, err)
		}
	}
}
