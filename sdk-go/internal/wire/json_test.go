package wire

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

type vector struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Hex  string `json:"hex"`
}

// readVectors is the rows of a file of spec/vectors.
func readVectors(t testing.TB, name string) []vector {
	t.Helper()
	text, err := os.ReadFile("../../../spec/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return file.Vectors
}

func TestValuesOfTheSpecificationAreFoundVerbatim(t *testing.T) {
	t.Parallel()
	for _, row := range readVectors(t, "json_values.json") {
		t.Run(row.ID, func(t *testing.T) {
			t.Parallel()
			text := []byte(` { "before":[1,{"value":0}], "value" : ` + row.Text + ` , "after":"}]" } `)

			if !Valid(text) {
				t.Fatal("it is valid")
			}
			members := ParseObject(text)
			elements, ok := Elements([]byte(" [ " + row.Text + " ,2] "))

			if row.Text != string(members["value"]) || len(members) != 3 || string(members["after"]) != `"}]"` {
				t.Fatalf("got %s", members)
			}
			if !ok || len(elements) != 2 || row.Text != string(elements[0]) {
				t.Fatalf("got %s", elements)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, text string
		want       Object
	}{
		{"Empty", `{}`, Object{}},
		{"EmptyWithSpace", " {\t\r\n} ", Object{}},
		{"LastOfTwoCounts", `{"a":1,"a":2}`, Object{"a": json.RawMessage(`2`)}},
		{"LetterCaseCounts", `{"a":1,"A":2}`, Object{"a": json.RawMessage(`1`), "A": json.RawMessage(`2`)}},
		{"NameWithEscapes", `{"\u0061\"":{"b":"\\"}}`, Object{`a"`: json.RawMessage(`{"b":"\\"}`)}},
		{"Array", `[{}]`, nil},
		{"Number", `5`, nil},
		{"Null", `null`, nil},
		{"Nothing", ``, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := ParseObject([]byte(row.text)); !reflect.DeepEqual(row.want, got) {
				t.Fatalf("want %s, got %s", row.want, got)
			}
		})
	}
}

func TestWhatIsNotStrictJSONIsNotValid(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "{} {}", "NaN", `{"a":01}`, "\xff", "\"\xc3\"", "\ufeff{}", strings.Repeat("[", 20_000)} {
		if Valid([]byte(text)) {
			t.Errorf("%.20q is valid", text)
		}
	}
}

func TestHalfAnAnswerIsNotValidWhereverItEnds(t *testing.T) {
	t.Parallel()
	text := []byte(`{"ok":true,"job":{"id":"ä\"]}","data":[1.10,null]}}`)

	for at := range text {
		if Valid(text[:at]) {
			t.Errorf("%s is valid", text[:at])
		}
	}
}

func TestStringsAreQuotedAsJSONWants(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", `a"b\c`, "\x00\x1f\n\t\x7f", "żółć 🎉 \u2028", "<&>"} {
		quoted := AppendString(nil, text)

		if got := Unquote(quoted); text != got || !json.Valid(quoted) {
			t.Errorf("%q became %s, and that %q", text, quoted, got)
		}
	}
	if got := string(AppendString(nil, "<ä\x01>")); got != `"<ä\u0001>"` {
		t.Errorf("got %s", got)
	}
}

func TestIntegersHaveNeitherFractionNorExponent(t *testing.T) {
	t.Parallel()
	if value, ok := Integer([]byte("-9007199254740993")); !ok || value != -9007199254740993 {
		t.Errorf("got %d", value)
	}
	for _, text := range []string{"", "1.0", "1e3", `"1"`, "9223372036854775808", "null"} {
		if value, ok := Integer([]byte(text)); ok {
			t.Errorf("%s is %d", text, value)
		}
	}
}
