// Package spectest reads the specification for the tests of jobwiretest.
package spectest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Root is the folder of the repository.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
}

// Vectors are the rows of a file of spec/vectors, of which there are at least so many.
func Vectors[T any](t *testing.T, name string, atLeast int) []T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(), "spec", "vectors", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []T }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < atLeast {
		t.Fatalf("%s has %d rows", name, len(file.Vectors))
	}
	return file.Vectors
}

// Rule is a field of an operation in spec/wire.yaml.
type Rule struct {
	Type     string
	Required bool
	Min, Max any // a number, or the name of a limit
}

// Operation is a row of spec/wire.yaml.
type Operation struct {
	HTTP   []string
	Wire   *int
	Auth   *bool
	Fields map[string]json.RawMessage
}

// Wire is spec/wire.yaml, without the pages for people and Prometheus.
type Wire struct {
	Limits, Defaults map[string]any
	Objects          map[string]map[string]json.RawMessage
	Operations       map[string]Operation
}

// ReadWire has the repository's Python read the YAML: this module has no dependencies, in tests neither.
func ReadWire(t *testing.T) Wire {
	t.Helper()
	code := "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8'))))"
	python := exec.Command(filepath.Join(Root(), ".venv", "bin", "python"), "-c", code, filepath.Join(Root(), "spec", "wire.yaml"))
	text, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	var wire Wire
	if err := json.Unmarshal(text, &wire); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"metrics", "openapi", "docs"} {
		delete(wire.Operations, page)
	}
	return wire
}
