package wire

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// at is an instant so many milliseconds after another.
func at(ms int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

// look shows what is done at an instant, and when the next look is due.
func (s *Silence) look(ms, version int) string {
	step, next := s.Look(at(ms), version)
	if step == StepGiveUp {
		return "give up"
	}
	return fmt.Sprintf("%s, %v", []string{"wait", "ping"}[step], next)
}

func TestSilence(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		version int
		heard   int // after 0; 0 is never
		looks   []int
		want    []string
	}{
		{"NothingIsDoneBeforeHalfOfTheTime", 2, 0, []int{0, 499}, []string{"wait, 500ms", "wait, 1ms"}},
		{"OnePingHalfway", 2, 0, []int{500, 501, 999}, []string{"ping, 500ms", "wait, 499ms", "wait, 1ms"}},
		{"TheEndOfTheTime", 2, 0, []int{500, 1000}, []string{"ping, 500ms", "give up"}},
		{"WhatWasHeardBeginsANewTime", 2, 400, []int{500, 899, 900, 1399, 1400},
			[]string{"wait, 400ms", "wait, 1ms", "ping, 500ms", "wait, 1ms", "give up"}},
		{"AfterALateLookTheAnswerHasItsTime", 2, 0, []int{5000, 5499, 5500}, []string{"ping, 500ms", "wait, 1ms", "give up"}},
		{"InVersion1ThereIsNoPing", 1, 0, []int{0, 500, 999, 1000}, []string{"wait, 1s", "wait, 500ms", "wait, 1ms", "give up"}},
		{"NorInTheHandshake", 0, 0, []int{999, 1000}, []string{"wait, 1ms", "give up"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := &Silence{Limit: time.Second}
			s.Begin(at(0))
			if row.heard > 0 {
				s.Begin(at(row.heard))
			}

			var got []string
			for _, ms := range row.looks {
				got = append(got, s.look(ms, row.version))
			}

			if !reflect.DeepEqual(row.want, got) {
				t.Errorf("want %q, got %q", row.want, got)
			}
		})
	}
}

func TestAnAnswerToAPingAllowsForTheNextOne(t *testing.T) {
	t.Parallel()
	s := &Silence{Limit: time.Second}
	s.Begin(at(0))

	var got []string
	for ms := 500; ms < 3000; ms += 510 {
		got = append(got, s.look(ms, 2))
		s.Begin(at(ms + 10)) // its answer
	}

	for _, each := range got {
		if each != "ping, 500ms" {
			t.Errorf("want a ping after each half of the time, got %q", got)
		}
	}
}

func TestAPingIsNotInFlightAndItsAnswerIsNobodys(t *testing.T) {
	t.Parallel()
	s := readySession(t, 2)
	waiting := send(t, s, "pull")

	line := s.Ping([]byte("before "))

	if want := "before " + `{"cmd":"ping","rid":3}` + "\n"; want != string(line) || s.InFlight() != 1 {
		t.Fatalf("got %s, %d in flight", line, s.InFlight())
	}
	expect(t, feed(s, `{"ok":true,"rid":3}`))
	expect(t, feed(s, fmt.Sprintf(`{"ok":true,"rid":%d,"n":1}`, waiting)), "answered 2 1")
}

func TestInVersion1ThereIsNoPing(t *testing.T) {
	t.Parallel()
	s := readySession(t, 1)

	if line := s.Ping(nil); len(line) > 0 {
		t.Fatalf("got %s", line)
	}
}
