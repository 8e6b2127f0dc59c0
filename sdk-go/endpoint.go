package jobwire

import (
	"crypto/tls"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

const defaultURL = "http://localhost:6790"

var defaultPorts = map[string]string{"http": "80", "https": "443", "tcp": "6789", "tcps": "6789"}

// secret is a text that no formatting verb shows.
type secret struct{ reveal func() string }

func newSecret(text string) secret { return secret{func() string { return text }} }

// endpoint is a server's address and what a connection to it needs. It is safe to print.
type endpoint struct {
	scheme         string
	host           string
	port           string
	prefix         string // the path of an HTTP URL, without a last /
	token          secret // of an empty text when there is none
	tls            *tls.Config
	connectTimeout time.Duration
	clientName     string
}

func (e *endpoint) isTCP() bool { return e.scheme == "tcp" || e.scheme == "tcps" }

// address is host and port, as net.Dial takes them.
func (e *endpoint) address() string { return net.JoinHostPort(e.host, e.port) }

func (e *endpoint) String() string { return e.scheme + "://" + e.address() + e.prefix }

// connectingWithin is the same server, for connections that are made within limit.
func (e *endpoint) connectingWithin(limit time.Duration) *endpoint {
	same := *e
	same.connectTimeout = min(e.connectTimeout, limit)
	return &same
}

// resolve is the endpoint of a client's arguments; JOBWIRE_URL and JOBWIRE_TOKEN stand in for those that are empty. Its errors
// never show the token or a password.
func resolve(text string, config *Config) (*endpoint, error) {
	if text == "" {
		text = os.Getenv("JOBWIRE_URL")
	}
	if text == "" {
		text = defaultURL
	}
	token := config.Token
	if token == "" {
		token = os.Getenv("JOBWIRE_TOKEN")
	}
	parsed, err := parseURL(text)
	if err != nil {
		return nil, err
	}
	found := &endpoint{
		scheme: parsed.Scheme, host: parsed.Hostname(), port: parsed.Port(), prefix: strings.TrimRight(parsed.EscapedPath(), "/"),
		token: newSecret(token), connectTimeout: config.ConnectTimeout, clientName: config.ClientName,
	}
	if found.port == "" {
		found.port = defaultPorts[found.scheme]
	}
	if found.clientName == "" {
		found.clientName = "jobwire-go"
	}
	if found.connectTimeout == 0 {
		found.connectTimeout = defaultConnectTimeout
	}
	if err := found.secure(config.TLS); err != nil {
		return nil, err
	}
	return found, found.check(token)
}

func parseURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, invalid("", "the URL cannot be read") // url.Error would show all of it
	case defaultPorts[parsed.Scheme] == "":
		return nil, invalid("", "the URL must start with http://, https://, tcp:// or tcps://")
	case parsed.User != nil:
		return nil, invalid("", "the URL must not hold credentials; give the token as Config.Token")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return nil, invalid("", "the URL must not have a query or a fragment")
	case parsed.Hostname() == "" || !isPlain(parsed.Hostname()):
		return nil, invalid("", "the URL needs a host in ASCII")
	case strings.HasPrefix(parsed.Scheme, "tcp") && strings.Trim(parsed.Path, "/") != "":
		return nil, invalid("", "a tcp URL has no path")
	}
	return parsed, nil
}

// secure sets up TLS where the scheme asks for it. config is copied.
func (e *endpoint) secure(config *tls.Config) error {
	wanted := e.scheme == "https" || e.scheme == "tcps"
	switch {
	case config != nil && !wanted:
		return invalid("", "Config.TLS needs an https or tcps URL, got %s", e.scheme)
	case !wanted:
		return nil
	case config == nil:
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	e.tls = config.Clone()
	if e.tls.ServerName == "" {
		e.tls.ServerName = e.host
	}
	return nil
}

// check refuses, without showing it, what could not stand in a header.
func (e *endpoint) check(token string) error {
	if !isPlain(token) {
		return invalid("", "Config.Token must be printable ASCII without spaces")
	}
	if !isPlain(e.clientName) {
		return invalid("", "Config.ClientName must be printable ASCII without spaces")
	}
	return nil
}

// isPlain says whether text is printable ASCII without spaces.
func isPlain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7F }) < 0
}
