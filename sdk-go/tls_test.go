package jobwire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
)

// tlsServer speaks both wires with TLS: TCP behind the certificate of httptest.
func tlsServer(t *testing.T) (httpsURL, tcpsURL string, trusted *x509.CertPool) {
	t.Helper()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, `{"ok":true}`) }))
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of each client that does not trust it
	web.StartTLS()
	t.Cleanup(web.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", web.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					var r peerRequest
					if json.Unmarshal(lines.Bytes(), &r) != nil {
						return
					}
					fmt.Fprintf(conn, `{"ok":true,"v":2,"rid":%d}`+"\n", r.RID)
				}
			}()
		}
	}()
	trusted = x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	return web.URL, "tcps://" + listener.Addr().String(), trusted
}

func TestTLS(t *testing.T) {
	t.Parallel()
	httpsURL, tcpsURL, trusted := tlsServer(t)
	plain := newEchoServer(t)
	for _, row := range []struct {
		name   string
		url    string
		config *tls.Config
		want   string
	}{
		{"HTTPS", httpsURL, &tls.Config{RootCAs: trusted}, ""},
		{"TCPS", tcpsURL, &tls.Config{RootCAs: trusted}, ""},
		{"HTTPSOfAStranger", httpsURL, nil, "CONNECTION_FAILED"},
		{"TCPSOfAStranger", tcpsURL, nil, "CONNECTION_FAILED"},
		{"HTTPSForAnotherName", httpsURL, &tls.Config{RootCAs: trusted, ServerName: "other.test"}, "CONNECTION_FAILED"},
		{"TCPSForAnotherName", tcpsURL, &tls.Config{RootCAs: trusted, ServerName: "other.test"}, "CONNECTION_FAILED"},
		{"TCPSOfAPlainPeer", plain.url("tcps"), &tls.Config{RootCAs: trusted}, "CONNECTION_FAILED"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			client, err := NewClient(row.url, &Config{TLS: row.config})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()

			err = client.Ping(context.Background())
			if err == nil {
				err = client.Ping(context.Background())
			}

			expectCode(t, row.want, err)
			same(t, false, SafeToRetry(err)) // so it is not repeated either
		})
	}
}
