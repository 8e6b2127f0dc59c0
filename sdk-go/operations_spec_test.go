package jobwire

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// specOperation is a row of spec/wire.yaml as far as a line each tells.
type specOperation struct{ http, retry, sdk string }

func specOperations(t *testing.T) map[string]*specOperation {
	t.Helper()
	text, err := os.ReadFile("../spec/wire.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, found := strings.Cut(string(text), "\noperations:\n")
	if !found {
		t.Fatal("wire.yaml has no operations")
	}
	name, member := regexp.MustCompile(`^  (\w+):$`), regexp.MustCompile(`^    (http|retry|sdk): (.+)$`)
	operations := map[string]*specOperation{}
	var current *specOperation
	for _, line := range strings.Split(text2, "\n") {
		if match := name.FindStringSubmatch(line); match != nil {
			current = &specOperation{}
			operations[match[1]] = current
		} else if match := member.FindStringSubmatch(line); match != nil && current != nil {
			switch match[1] {
			case "http":
				current.http = match[2]
			case "retry":
				current.retry = match[2]
			case "sdk":
				current.sdk = match[2]
			}
		}
	}
	return operations
}

// TestTheRowOfAnOperationIsTheSpecifications: JW-SDK-3.
func TestTheRowOfAnOperationIsTheSpecifications(t *testing.T) {
	t.Parallel()
	count := 0
	for op, row := range specOperations(t) {
		if row.sdk == "" {
			continue
		}
		count++
		ours, known := routes[op]
		if !known {
			t.Errorf("%s has no route", op)
		}
		if row.retry != string(ours.retry) {
			t.Errorf("%s: the specification says %s, we say %s", op, row.retry, ours.retry)
		}
		if row.http != "" && !strings.Contains(row.http, "'"+ours.method+" "+ours.path+"'") {
			t.Errorf("%s: %s %s is none of %s", op, ours.method, ours.path, row.http)
		}
	}
	if count != len(routes) {
		t.Errorf("%d operations in the specification, %d here", count, len(routes))
	}
}

// TestEveryOptionOfTheSpecificationIsOneOfPush compares the fields of PushOptions, by what they send, with JobOptions.
func TestEveryOptionOfTheSpecificationIsOneOfPush(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../spec/wire.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n  JobOptions:\n")
	block := regexp.MustCompile(`(?m)^(    \w+: .*\n)+`).FindString(after)
	sent := ""
	for _, row := range requestCases()[:3] {
		body, _ := row.request.httpBody()
		sent += string(body)
	}

	options := regexp.MustCompile(`(?m)^    (\w+):`).FindAllStringSubmatch(block, -1)
	for _, option := range options {
		if !strings.Contains(sent, `"`+option[1]+`":`) {
			t.Errorf("no push sends %s", option[1])
		}
	}
	if want := reflect.TypeFor[PushOptions]().NumField() - 1; want != len(options) { // ID is none
		t.Errorf("%d options in the specification, %d here", len(options), want)
	}
}
