package jobwiretest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

// longest is how long the contract may take on a starved machine; it takes some ten seconds.
const longest = 5 * time.Minute

// TestTheServerKeepsTheContract: a fake may not invent behaviour. The tests of sdk-python/tests/contract run against the real server
// as well, over both doors.
func TestTheServerKeepsTheContract(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	program := filepath.Join(t.TempDir(), "serve")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./internal/serve")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}

	pytest := exec.CommandContext(ctx, filepath.Join(spectest.Root(), ".venv", "bin", "pytest"), "-q", "tests/contract")
	pytest.Dir = filepath.Join(spectest.Root(), "sdk-python")
	pytest.Env = append(os.Environ(), "CONTRACT_FAKE='"+program+"'")
	said, err := pytest.CombinedOutput()

	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	passed := regexp.MustCompile(`(\d+) passed`).FindSubmatch(said)
	if passed == nil {
		t.Fatalf("it does not say how many passed:\n%s", said)
	}
	if count, _ := strconv.Atoi(string(passed[1])); count < 500 {
		t.Errorf("%d passed", count)
	}
}
