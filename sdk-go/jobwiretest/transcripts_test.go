package jobwiretest_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

const anything = "…"

// transcript is a row of spec/vectors/transcripts.json, which says what the marks of its lines mean.
type transcript struct {
	ID    string
	Sides []string
	Token bool
	Lines []string
}

// TestTheConversationsOfTheSpecification has them whole and a byte at a time.
func TestTheConversationsOfTheSpecification(t *testing.T) {
	t.Parallel()
	count := 0
	for _, row := range spectest.Vectors[transcript](t, "transcripts", 1) {
		if !slices.Contains(row.Sides, "server") {
			continue
		}
		count++
		for name, size := range map[string]int{"whole": 1 << 20, "byte by byte": 1} {
			t.Run(row.ID+"/"+name, func(t *testing.T) {
				t.Parallel()
				converse(t, row, size)
			})
		}
	}
	if count < 20 {
		t.Errorf("%d conversations are for servers", count)
	}
}

type turn struct {
	mark  string
	texts []string
}

// turnsOf groups the lines: what is sent in one write, what comes in any order, and the rest one by one.
func turnsOf(lines []string) []turn {
	var turns []turn
	for _, line := range lines {
		mark, text := line[:2], strings.TrimPrefix(line[2:], " ")
		switch mark {
		case "C:":
			mark, text = "C", text+"\n"
		case "C~":
			mark = "C"
		}
		last := len(turns) - 1
		if last >= 0 && turns[last].mark == mark && (mark == "C" || mark == "S*") {
			turns[last].texts = append(turns[last].texts, text)
		} else {
			turns = append(turns, turn{mark, []string{text}})
		}
	}
	return turns
}

// talk is one conversation. known has what stands for what: the values of names such as <lease>.
type talk struct {
	t      *testing.T
	server *jobwiretest.Server
	conn   net.Conn
	reader *bufio.Reader
	known  map[string]any
}

func converse(t *testing.T, row transcript, size int) {
	config := jobwiretest.ServerConfig{}
	if row.Token {
		config.Token = "secret"
	}
	server := start(t, config)
	conn := dialTCP(t, server)
	c := &talk{t, server, conn, bufio.NewReader(conn), map[string]any{}}
	for _, turn := range turnsOf(row.Lines) {
		switch turn.mark {
		case "C":
			c.send(strings.Join(turn.texts, ""), size)
		case "C.":
			c.check(conn.(*net.TCPConn).CloseWrite())
		case "S:", "S*":
			c.expect(turn.texts)
		case "S.":
			c.expectClose()
		case "A:":
			c.askElsewhere(turn.texts[0])
		case "T:":
			ms, err := strconv.Atoi(turn.texts[0])
			c.check(err)
			server.Advance(time.Duration(ms) * time.Millisecond)
		case "T.":
			server.Drain()
		default:
			t.Fatalf("the mark %q is unknown", turn.mark)
		}
	}
}

// start is a server with these settings, until the test ends.
func start(t *testing.T, config jobwiretest.ServerConfig) *jobwiretest.Server {
	t.Helper()
	server, err := jobwiretest.StartServer(&config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func dialTCP(t *testing.T, server *jobwiretest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.TCPURL(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (c *talk) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *talk) send(text string, size int) {
	for rest := []byte(c.filled(text)); len(rest) > 0; rest = rest[min(size, len(rest)):] {
		_, err := c.conn.Write(rest[:min(size, len(rest))])
		c.check(err)
	}
}

// filled is a line with the values of the names in it, without the members that a client adds as it likes.
func (c *talk) filled(text string) string {
	text = strings.ReplaceAll(text, `,"`+anything+`":"`+anything+`"`, "")
	for name, value := range c.known {
		quoted, err := json.Marshal(value)
		c.check(err)
		text = strings.ReplaceAll(text, `"`+name+`"`, string(quoted))
	}
	return text
}

// expect reads these lines, in any order.
func (c *talk) expect(texts []string) {
	c.t.Helper()
	for left := slices.Clone(texts); len(left) > 0; {
		line, err := c.reader.ReadBytes('\n')
		c.check(err)
		at := slices.IndexFunc(left, func(text string) bool { return c.fits(text, line) })
		if at < 0 {
			c.t.Fatalf("want one of %q, got %s", left, line)
		}
		left = slices.Delete(left, at, at+1)
	}
}

func (c *talk) fits(text string, line []byte) bool {
	var wanted, found any
	c.check(json.Unmarshal([]byte(text), &wanted))
	c.check(json.Unmarshal(line, &found))
	known := make(map[string]any)
	for name, value := range c.known {
		known[name] = value
	}
	if !agrees(wanted, found, known) {
		return false
	}
	c.known = known
	return true
}

// agrees says whether found is what a line says; what it says of names is put into known.
func agrees(wanted, found any, known map[string]any) bool {
	switch wanted := wanted.(type) {
	case string:
		if wanted == anything {
			return true
		}
		if strings.HasPrefix(wanted, "<") {
			if _, is := known[wanted]; !is {
				known[wanted] = found
			}
			return reflect.DeepEqual(known[wanted], found)
		}
	case map[string]any:
		members, isObject := found.(map[string]any)
		return isObject && membersAgree(wanted, members, known)
	case []any:
		elements, isList := found.([]any)
		if !isList || len(elements) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !agrees(wanted[i], elements[i], known) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(wanted, found)
}

func membersAgree(wanted, found map[string]any, known map[string]any) bool {
	_, isOpen := wanted[anything]
	for name := range found {
		if _, is := wanted[name]; !is && !isOpen {
			return false
		}
	}
	for name, value := range wanted {
		is, has := found[name]
		if name != anything && (!has || !agrees(value, is, known)) {
			return false
		}
	}
	return true
}

func (c *talk) expectClose() {
	c.t.Helper()
	if line, err := c.reader.ReadBytes('\n'); err != io.EOF || len(line) > 0 {
		c.t.Fatalf("want the end, got %q, %v", line, err)
	}
}

func (c *talk) askElsewhere(text string) {
	c.t.Helper()
	conn := dialTCP(c.t, c.server)
	_, err := conn.Write([]byte(c.filled(text) + "\n"))
	c.check(err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	c.check(err)
	if !strings.Contains(line, `"ok":true`) {
		c.t.Fatalf("got %s", line)
	}
}
