package jobwire

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const helloWorkerLines = 20

func readmePrograms(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(text, -1) {
		programs = append(programs, string(block[1]))
	}
	if len(programs) != 2 {
		t.Fatalf("the README has %d programs", len(programs))
	}
	return programs
}

func TestTheProgramsOfTheReadmeCompile(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const path = "github.com/jobwire/jobwire/sdk-go"
	write("go.mod", fmt.Sprintf("module readme\n\ngo 1.22\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", path, path, here))
	for i, program := range readmePrograms(t) {
		write(fmt.Sprintf("program%d/main.go", i), program)
	}

	vet := exec.Command("go", "vet", "./...")
	vet.Dir = module
	vet.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local")

	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

func TestTheWorkerOfTheReadmeIsShort(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, line := range strings.Split(readmePrograms(t)[1], "\n") {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	if lines > helloWorkerLines {
		t.Errorf("it has %d lines", lines)
	}
}
