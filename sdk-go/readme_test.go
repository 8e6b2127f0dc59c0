package jobwire_test

import (
	"fmt"
	"path/filepath"
	"testing"
)

func readmePrograms(t *testing.T) []string {
	t.Helper()
	programs := snippetsOf(t, "README.md")
	if len(programs) != 2 {
		t.Fatalf("the README has %d programs", len(programs))
	}
	return programs
}

func TestTheProgramsOfTheReadmeCompile(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	writeModule(t, module, "readme")
	for i, program := range readmePrograms(t) {
		writeFile(t, filepath.Join(module, fmt.Sprintf("program%d", i), "main.go"), program)
	}

	goCommand(t, module, "vet", "./...")
}

func TestTheWorkerOfTheReadmeIsShort(t *testing.T) {
	t.Parallel()
	if lines := linesOf(readmePrograms(t)[1]); lines > helloLines {
		t.Errorf("it has %d lines", lines)
	}
}
