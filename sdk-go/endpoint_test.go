package jobwire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheURLPicksHostPortAndTransport(t *testing.T) {
	for _, row := range []struct {
		url, want string
		isTCP     bool
	}{
		{"", "http://localhost:6790", false},
		{"http://example.org", "http://example.org:80", false},
		{"https://example.org/", "https://example.org:443", false},
		{"http://example.org:1234/jobs%20/x/", "http://example.org:1234/jobs%20/x", false},
		{"tcp://example.org", "tcp://example.org:6789", true},
		{"tcps://[::1]:7", "tcps://[::1]:7", true},
		{"tcp://example.org:7/", "tcp://example.org:7", true},
	} {
		t.Setenv("JOBWIRE_URL", "")
		client, err := NewClient(row.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()

		_, isTCP := client.transport.(*tcpTransport)
		if got := client.endpoint.String(); row.want != got || row.isTCP != isTCP {
			t.Errorf("%s became %s, over TCP: %v", row.url, got, isTCP)
		}
	}
}

func TestTheEnvironmentStandsInForWhatIsNotGiven(t *testing.T) {
	t.Setenv("JOBWIRE_URL", "tcp://example.org:1")
	t.Setenv("JOBWIRE_TOKEN", "from-outside")
	outside, err := resolve("", &Config{})
	if err != nil {
		t.Fatal(err)
	}
	given, err := resolve("tcp://example.org:2", &Config{Token: "given"})
	if err != nil {
		t.Fatal(err)
	}

	same(t, "tcp://example.org:1 from-outside", outside.String()+" "+outside.token.reveal())
	same(t, "tcp://example.org:2 given", given.String()+" "+given.token.reveal())
}

func TestWhatCannotBeUsedIsRefusedAtOnceWithoutBeingShown(t *testing.T) {
	t.Setenv("JOBWIRE_TOKEN", "")
	for _, row := range []struct {
		name, url string
		config    Config
	}{
		{"Scheme", "ftp://example.org/s3cret", Config{}},
		{"NoScheme", "example.org", Config{}},
		{"Credentials", "http://user:s3cret@example.org", Config{}},
		{"BadCredentials", "http://us er:s3cret@example.org", Config{}},
		{"Query", "http://example.org?token=s3cret", Config{}},
		{"EmptyQuery", "http://example.org?", Config{}},
		{"Fragment", "http://example.org#s3cret", Config{}},
		{"NoHost", "http://:80", Config{}},
		{"HostThatIsNotASCII", "http://exämple.org", Config{}},
		{"PathOfTCP", "tcp://example.org/s3cret", Config{}},
		{"TLSWithoutTLS", "tcp://example.org", Config{TLS: &tls.Config{}}},
		{"TokenWithSpace", "tcp://example.org", Config{Token: "s3cret s3cret"}},
		{"TokenWithLineEnd", "tcp://example.org", Config{Token: "s3cret\r\nX: y"}},
		{"TokenThatIsNotASCII", "tcp://example.org", Config{Token: "s3crät s3cret"}},
		{"ClientName", "tcp://example.org", Config{ClientName: "a b"}},
		{"NegativeTimeout", "tcp://example.org", Config{Timeout: -1}},
		{"NegativeConnectTimeout", "tcp://example.org", Config{ConnectTimeout: -1}},
	} {
		client, err := NewClient(row.url, &row.config)
		if !errors.Is(err, ErrValidation) || client != nil {
			t.Errorf("%s led to %v", row.name, err)
		} else if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "s3cret") {
			t.Errorf("%s shows %s", row.name, text)
		}
	}
}

// TestTheTokenIsShownNowhere: JW-SDK-11.
func TestTheTokenIsShownNowhere(t *testing.T) {
	t.Parallel()
	config := Config{Token: "s3cret"}
	client, err := NewClient("tcps://example.org", &config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	link := newTCPLink(nil, client.endpoint, 0, &subscribers{})

	for _, value := range []any{config, &config, client, *client, client.endpoint, *client.endpoint, client.transport, client.WithOptions(nil)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "s3cret") {
				t.Errorf("%s of a %T shows %s", verb, value, text)
			}
		}
	}
	if !strings.Contains(string(link.session.Hello()), "s3cret") {
		t.Error("and yet hello has it")
	}
	if got := client.String(); !strings.Contains(got, "tcps://example.org:6789") {
		t.Errorf("the client is %s", got)
	}
}

// TestDefaultsAreThoseOfTheOtherLanguages compares with the constructor of Python in spec/sdk-surface.yaml.
func TestDefaultsAreThoseOfTheOtherLanguages(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../spec/sdk-surface.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^  Client:\n    python: '.*timeout=([0-9.]+), connect_timeout=([0-9.]+), retries=([0-9]+), retry_budget=([0-9.]+)`).
		FindSubmatch(text)
	if want == nil {
		t.Fatal("sdk-surface.yaml has no constructor of Client")
	}

	for i, got := range []string{
		inSeconds(defaultTimeout), inSeconds(defaultConnectTimeout), fmt.Sprint(defaultRetries), inSeconds(defaultRetryBudget),
	} {
		same(t, string(want[i+1]), got)
	}
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
