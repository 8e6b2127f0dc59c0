package jobwiretest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jobwire/jobwire/sdk-go"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

// What the doors take and refuse, byte for byte, and who may come in.

// asker is a function that sends a line to the TCP door, and gives the answer.
func asker(t *testing.T, server *jobwiretest.Server) func(line []byte) string {
	conn := dialTCP(t, server)
	reader := bufio.NewReader(conn)
	return func(line []byte) string {
		t.Helper()
		if _, err := conn.Write(append(bytes.Clone(line), '\n')); err != nil {
			t.Fatal(err)
		}
		answer, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// post is the status and the body of the answer to a request with a body of JSON.
func post(t *testing.T, url string, body []byte) (int, string) {
	t.Helper()
	return request(t, http.MethodPost, url, "application/json", body)
}

func request(t *testing.T, method, url, kind string, body []byte) (int, string) {
	t.Helper()
	asked, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	asked.Header.Set("Content-Type", kind)
	answered, err := http.DefaultClient.Do(asked)
	if err != nil {
		t.Fatal(err)
	}
	defer answered.Body.Close()
	text, err := io.ReadAll(answered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered.StatusCode, string(text)
}

func TestTheJSONOfUsersComesBackByteForByte(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	ask := asker(t, server)
	type value struct{ ID, Text string }
	for _, row := range spectest.Vectors[value](t, "json_values", 70) {
		for _, door := range []string{"http", "tcp"} {
			said := ""
			if door == "tcp" {
				said = ask([]byte(fmt.Sprintf(`{"cmd":"push","queue":"tcp","name":"job","data":%s}`, row.Text)))
			} else {
				_, said = post(t, server.URL()+"/api/v1/queues/http/jobs", []byte(fmt.Sprintf(`{"name":"job","data":%s}`, row.Text)))
			}
			jobs, err := dial(t, server, door).Pull(context.Background(), []string{door}, nil)
			if err != nil || len(jobs) != 1 || string(jobs[0].Data) != row.Text {
				t.Errorf("%s over %s: %s, %v, %v", row.ID, door, said, jobs, err)
			}
		}
	}
}

type malformedRow struct {
	ID, Door, Hex, Code string
	Status              int
	Parts               [][2]any // bytes, and how often they stand there
}

func (m malformedRow) bytes(t *testing.T) []byte {
	t.Helper()
	text := m.Hex
	for _, part := range m.Parts {
		text += strings.Repeat(part[0].(string), int(part[1].(float64)))
	}
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsMalformedIsRefusedWithTheCodeOfTheVectorsAndPushesNothing(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	ask := asker(t, server)
	for _, row := range spectest.Vectors[malformedRow](t, "malformed", 250) {
		status, said := row.Status, ""
		if row.Door == "tcp" {
			said = ask(row.bytes(t))
		} else {
			status, said = post(t, server.URL()+"/api/v1/queues/emails/jobs", row.bytes(t))
		}
		var answer struct {
			OK    bool
			Error struct{ Code string }
		}
		if err := json.Unmarshal([]byte(said), &answer); err != nil {
			t.Fatalf("%s: %v", row.ID, err)
		}
		if answer.OK || answer.Error.Code != row.Code || status != row.Status {
			t.Errorf("%s: want %d %s, got %d %s", row.ID, row.Status, row.Code, status, said)
		}
	}
	stats, err := dial(t, server, "http").Stats(context.Background(), "emails")
	if err != nil || stats.Counts.Waiting != 0 {
		t.Errorf("%v, %v", stats, err)
	}
}

func TestWhatHasNoEndIsRefused(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	ask := asker(t, server)
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	endless := bytes.Repeat([]byte("x"), 4_194_305)

	for _, row := range []struct{ line, want string }{
		{`{"cmd":"push","queue":"q","name":"job","data":` + deep + `}`, `"code":"PARSE_ERROR"`},
		{`{"cmd":"ping"}`, `"ok":true`},
		{string(endless), `"code":"PAYLOAD_TOO_LARGE"`},
	} {
		if said := ask([]byte(row.line)); !strings.Contains(said, row.want) {
			t.Errorf("want %s, got %s", row.want, said)
		}
	}
	if status, said := post(t, server.URL()+"/api/v1/pull", endless); status != 413 {
		t.Errorf("%d %s", status, said)
	}
}

func TestWrongRequestsOverHTTP(t *testing.T) {
	t.Parallel()
	server := jobwiretest.NewServer(t)
	for _, row := range []struct {
		method, path, kind, body string
		status                   int
	}{
		{"GET", "/nowhere", "", "", 404},
		{"GET", "/pull", "", "", 405},
		{"POST", "/pull", "text/plain", "{}", 415},
		{"POST", "/pull", "application/json", "[]", 422},
		{"GET", "/jobs?limit=x", "", "", 400},
		{"GET", "/queues/%ff/stats", "", "", 400},
		{"GET", "/jobs?colour=red", "", "", 422},
	} {
		status, said := request(t, row.method, server.URL()+"/api/v1"+row.path, row.kind, []byte(row.body))
		if status != row.status {
			t.Errorf("%s %s: want %d, got %d %s", row.method, row.path, row.status, status, said)
		}
	}
}

func TestAServerWithATokenWantsIt(t *testing.T) {
	t.Parallel()
	server := start(t, jobwiretest.ServerConfig{Token: "right"})
	for _, url := range []string{server.URL(), server.TCPURL()} {
		for _, token := range []string{"right", "wrong"} {
			client, err := jobwire.NewClient(url, &jobwire.Config{Token: token, Retries: -1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Push(context.Background(), "q", "job", nil, nil)
			if got := codeOf(err); (token == "right") != (err == nil) || (err != nil && got != "UNAUTHORIZED") {
				t.Errorf("%s with %s: %v", url, token, err)
			}
			client.Close()
		}
	}
}
