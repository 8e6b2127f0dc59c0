package jobwire

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestNothingButTheStandardLibraryIsNeeded holds for the tests as well.
func TestNothingButTheStandardLibraryIsNeeded(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-test", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...")
	list.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local")
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for _, path := range strings.Fields(string(out)) {
		if !strings.HasPrefix(path, "github.com/jobwire/jobwire/sdk-go") && strings.Contains(path, ".") && !strings.HasPrefix(path, "[") {
			t.Errorf("%s is not of the standard library", path)
		}
	}
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(module), "require") {
		t.Errorf("go.mod requires something:\n%s", module)
	}
}
