package jobwire_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

const (
	docsPage    = "../docs/sdks/go.md"
	docsRecipes = 7
	helloLines  = 20 // that the first worker of a page has at the most
)

// docsMain runs a program of the page, or one of its recipes, by name.
const docsMain = `package main

import (
	"context"
	"log"
	"os"

	jobwire "github.com/jobwire/jobwire/sdk-go"
	"docs/program0"
	"docs/program1"
	"docs/recipes"
)

func main() {
	recipe := map[string]func(context.Context, *jobwire.Client) error{%s}[os.Args[1]]
	switch {
	case os.Args[1] == "program0":
		program0.Main()
	case os.Args[1] == "program1":
		program1.Main()
	default:
		client, err := jobwire.NewClient(os.Args[2], nil)
		if err != nil {
			log.Fatal(err)
		}
		if err := recipe(context.Background(), client); err != nil {
			log.Fatal(err)
		}
	}
}
`

var (
	docsRecipe = regexp.MustCompile(`func (\w+)\(ctx context\.Context, client \*jobwire\.Client\) error`)
	docsOutput = regexp.MustCompile(`(?m)^\t// Output:\s*((?:.*\n)+?)}`)
)

// TestTheSnippetsOfTheDocsRun has all of them in one binary, to link once.
func TestTheSnippetsOfTheDocsRun(t *testing.T) {
	t.Parallel()
	server := serve(t)
	module := t.TempDir()
	programs, recipes := writeDocs(t, module, server)
	if len(programs) != 2 || len(recipes) != docsRecipes {
		t.Fatalf("the page has %d programs and %d recipes", len(programs), len(recipes))
	}
	var table strings.Builder
	for name := range recipes {
		fmt.Fprintf(&table, "%q: recipes.%s, ", name, name)
	}
	writeFile(t, filepath.Join(module, "main.go"), fmt.Sprintf(docsMain, table.String()))
	goCommand(t, module, "test", "./...")
	goCommand(t, module, "build", "-o", "docs.run", ".")
	binary := filepath.Join(module, "docs.run")

	for name, snippet := range recipes {
		run := exec.Command(binary, name, server.url("tcp"))
		run.Stderr = os.Stderr
		out, err := run.Output()
		if want := outputOf(snippet); err != nil || trimLines(string(out)) != want {
			t.Errorf("%s: %v, it printed\n%s\nand not\n%s", name, err, out, want)
		}
	}
	workWithTheFirstWorker(t, server, binary)
}

// workWithTheFirstWorker has the worker of the page do the job that the other program pushes, and ends it.
func workWithTheFirstWorker(t *testing.T, server *serverProcess, binary string) {
	client, err := jobwire.NewClient(server.url("http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var printed bytes.Buffer
	worker := exec.Command(binary, "program0")
	worker.Stdout, worker.Stderr = &printed, os.Stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "program1").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		stats, err := client.Stats(context.Background(), "emails")
		if err != nil {
			t.Error(err)
			break
		}
		if stats.Counts.Completed == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("the job was not done: %+v", stats.Counts)
			break
		}
	}
	_ = worker.Process.Signal(syscall.SIGTERM) // fails when it has ended, of which Wait tells
	if err := worker.Wait(); err != nil {
		t.Error(err)
	}
	if got := printed.String(); got != "mail to ada@example.com\n" {
		t.Errorf("it printed %q", got)
	}
}

func TestTheFirstWorkerOfTheDocsIsShort(t *testing.T) {
	t.Parallel()
	if lines := linesOf(snippetsOf(t, docsPage)[0]); lines > helloLines {
		t.Errorf("it has %d lines", lines)
	}
}

// linesOf is how many lines of text are not blank.
func linesOf(text string) int {
	lines := 0
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	return lines
}

// snippetsOf is the Go code of a page.
func snippetsOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var snippets []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(text, -1) {
		snippets = append(snippets, string(block[1]))
	}
	return snippets
}

// writeDocs makes a module of the snippets: a package for each program, and one for all recipes, by the names of their functions.
func writeDocs(t *testing.T, module string, server *serverProcess) (programs []string, recipes map[string]string) {
	t.Helper()
	writeModule(t, module, "docs")
	recipes = make(map[string]string)
	for i, snippet := range snippetsOf(t, docsPage) {
		switch found := docsRecipe.FindStringSubmatch(snippet); {
		case found != nil:
			recipes[found[1]] = snippet
			writeFile(t, filepath.Join(module, "recipes", fmt.Sprintf("recipe%d.go", i)), snippet)
		case strings.Contains(snippet, `"testing"`):
			writeFile(t, filepath.Join(module, "recipes", fmt.Sprintf("recipe%d_test.go", i)), snippet)
		default:
			name := fmt.Sprintf("program%d", len(programs))
			programs = append(programs, name)
			writeFile(t, filepath.Join(module, name, "main.go"), strings.NewReplacer(
				"package main", "package "+name, "func main()", "func Main()",
				"http://localhost:6790", server.url("http"), "tcp://localhost:6789", server.url("tcp")).Replace(snippet))
		}
	}
	return programs, recipes
}

// outputOf is what a snippet says that it prints.
func outputOf(snippet string) string {
	found := docsOutput.FindStringSubmatch(snippet)
	if found == nil {
		return "(it does not say what it prints)"
	}
	return trimLines(regexp.MustCompile(`(?m)^\s*// `).ReplaceAllString(found[1], ""))
}

func trimLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// writeModule makes folder a module that has this SDK.
func writeModule(t *testing.T, folder, name string) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/jobwire/jobwire/sdk-go"
	writeFile(t, filepath.Join(folder, "go.mod"),
		fmt.Sprintf("module %s\n\ngo 1.22\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", name, path, path, here))
}

func goCommand(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	command := exec.Command("go", arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", arguments[0], err, out)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
