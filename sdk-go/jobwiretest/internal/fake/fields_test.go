package fake

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

// rulesOf is the fields of an operation, with those of the object that it has a part of.
func rulesOf(t *testing.T, wire spectest.Wire, row spectest.Operation) map[string]spectest.Rule {
	t.Helper()
	rules := make(map[string]spectest.Rule)
	add := func(fields map[string]json.RawMessage) {
		for name, text := range fields {
			var rule spectest.Rule
			if name == "..." {
				continue
			}
			if err := json.Unmarshal(text, &rule); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			rules[name] = rule
		}
	}
	add(row.Fields)
	if rest := strings.TrimPrefix(strings.Trim(string(row.Fields["..."]), `"`), "object "); rest != "" {
		add(wire.Objects[rest])
		if rest == "PushItem" {
			add(wire.Objects["JobOptions"])
		}
	}
	return rules
}

func TestEveryOperationHasTheFieldsOfTheSpecification(t *testing.T) {
	t.Parallel()
	wire := spectest.ReadWire(t)
	for name, row := range wire.Operations {
		want, got := make(map[string]bool), make(map[string]bool)
		for field, rule := range rulesOf(t, wire, row) {
			want[field] = rule.Required
		}
		for field, ours := range fieldsOf[name] {
			got[field] = ours.isRequired
		}
		if !Known(name) || !reflect.DeepEqual(want, got) {
			t.Errorf("%s: want %v, got %v", name, want, got)
		}
	}
	if len(wire.Operations) != len(fieldsOf) {
		t.Errorf("the specification has %d operations, we have %d", len(wire.Operations), len(fieldsOf))
	}
}

// bound is an end of a range: a number, or the name of a limit.
func bound(wire spectest.Wire, end any) int64 {
	if name, isName := end.(string); isName {
		end = wire.Limits[name]
	}
	return int64(end.(float64))
}

func TestIntegersAreHeldToTheBoundsOfTheSpecification(t *testing.T) {
	t.Parallel()
	wire := spectest.ReadWire(t)
	checked := 0
	for name, row := range wire.Operations {
		for field, rule := range rulesOf(t, wire, row) {
			if rule.Type != "int" || rule.Max == nil {
				continue
			}
			low, high := bound(wire, rule.Min), bound(wire, rule.Max)
			for value, isGood := range map[int64]bool{low: true, high: true, low - 1: false, high + 1: false} {
				got, err := fieldsOf[name][field].check(Number(fmt.Sprint(value)), "/x")
				if isGood != (err == nil) || (isGood && got != value) {
					t.Errorf("%s.%s of %d: %v, %v", name, field, value, got, err)
				}
			}
			checked++
		}
	}
	if checked < 20 {
		t.Errorf("%d fields were checked", checked)
	}
}

func TestTheLimitsAndDefaultsAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	wire := spectest.ReadWire(t)
	for name, pair := range map[string][2]map[string]any{"limits": {wire.Limits, Limits}, "defaults": {wire.Defaults, Defaults}} {
		var ours map[string]any
		if err := json.Unmarshal(Text(Answer(pair[1])), &ours); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(pair[0], ours) {
			t.Errorf("%s: want %v, got %v", name, pair[0], ours)
		}
	}
}

func TestTheIDOfAWorkerIsNotEmpty(t *testing.T) {
	t.Parallel()
	given, err := Parse([]byte(`{"worker":{"id":""}}`))
	if err != nil {
		t.Fatal(err)
	}
	var refusal *Refused
	if _, err := Check("heartbeat_batch", given.(*Object)); !errors.As(err, &refusal) || refusal.Details["pointer"] != "/worker/id" {
		t.Errorf("got %v", err)
	}
}
