package jobwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// httpClient is a client of a server that answers with handle.
func httpClient(t *testing.T, config *Config, handle http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handle)
	client, err := NewClient(server.URL, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client
}

func writeJSON(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

func TestTheRequestCarriesTheTokenAndJSON(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	client := httpClient(t, &Config{Token: "s3cret"}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- fmt.Sprintf("%s %s %s|%s|%s|%s|%s %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"),
			r.Header.Get("Accept-Encoding"), r.Header.Get("User-Agent"), r.Header.Get("Content-Length"), body)
		writeJSON(w, 200, `{"ok":true,"state":"waiting","job":{"id":"a/b"}}`)
	})

	_, err := client.Retry(context.Background(), "a/b ü")
	same(t, nil, err)
	_, err = client.GetJob(context.Background(), "a/b")
	same(t, nil, err)

	same(t, "POST /api/v1/jobs/a%2Fb%20%C3%BC/retry Bearer s3cret|application/json|identity|jobwire-go/"+Version+"|2 {}", <-seen)
	same(t, "GET /api/v1/jobs/a%2Fb Bearer s3cret||identity|jobwire-go/"+Version+"| ", <-seen)
}

func TestARefusalOverHTTPIsTheErrorOfItsCode(t *testing.T) {
	t.Parallel()
	client := httpClient(t, &Config{Retries: -1}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "r1")
		w.Header().Set("Retry-After", "2")
		writeJSON(w, 429, `{"ok":false,"error":{"code":"QUEUE_FULL","message":"full"}}`)
	})

	err := pushed(client)

	var refused *Error
	same(t, true, errors.Is(err, ErrRateLimited) && errors.As(err, &refused))
	same(t, "r1 429 2s", fmt.Sprint(refused.RequestID, " ", refused.Status, " ", refused.RetryAfter))
}

func TestARedirectIsNotFollowedAndNoTokenGoesElsewhere(t *testing.T) {
	t.Parallel()
	requests := 0
	client := httpClient(t, &Config{Token: "s3cret"}, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})

	err := pushed(client)

	expectCode(t, "PROTOCOL_ERROR", err)
	same(t, 1, requests)
}

func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		status int
		text   string
		want   string
	}{
		{"AProxysPage", 502, "<html>", "HTTP_ERROR"},
		{"AProxysPageThatStays", 404, "<html>", "HTTP_ERROR"},
		{"APageThatIsFine", 200, "<html>", "PROTOCOL_ERROR"},
		{"AnArray", 200, "[]", "PROTOCOL_ERROR"},
		{"NoOK", 200, "{}", "PROTOCOL_ERROR"},
		{"OKThatIsNoBoolean", 200, `{"ok":1}`, "PROTOCOL_ERROR"},
		{"OKWithTheStatusOfAnError", 500, `{"ok":true}`, "HTTP_ERROR"},
		{"NotUTF8", 200, "{\"ok\":true,\"a\":\"\xff\"}", "PROTOCOL_ERROR"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			client := httpClient(t, &Config{Retries: -1}, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, row.status, row.text) })

			err := client.Ping(context.Background())

			expectCode(t, row.want, err)
			var told *Error
			errors.As(err, &told)
			same(t, row.status, told.Status)
			same(t, row.status == 502 || row.status == 500, told.Retryable)
		})
	}
}

func TestHTTPGivesEachCallFrom32GoroutinesItsOwnAnswer(t *testing.T) {
	t.Parallel()
	client := httpClient(t, nil, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ ID string }
		json.NewDecoder(r.Body).Decode(&body)
		writeJSON(w, 201, fmt.Sprintf(`{"ok":true,"id":%q}`, body.ID))
	})
	var all sync.WaitGroup
	for caller := range 32 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", caller, i)
				got, err := client.Push(context.Background(), "q", "n", nil, &PushOptions{ID: id})
				if err != nil || id != got.ID {
					t.Errorf("%s got %v, %v", id, got, err)
				}
			}
		}()
	}
	all.Wait()
}
