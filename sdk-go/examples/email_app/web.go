package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

const maxBody = 64 * 1024

// form is what pages take, as JSON; a page names those that it needs.
type form struct {
	Name  *string `json:"name"`
	Email *string `json:"email"`
}

// app is the web app: signup, password reset, stats.
type app struct {
	client *jobwire.Client
}

// serve answers on 127.0.0.1 until the process ends.
func serve(client *jobwire.Client) error {
	a := &app{client: client}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signup", a.page([]string{"name", "email"}, a.signup))
	mux.HandleFunc("POST /password-reset", a.page([]string{"email"}, a.passwordReset))
	mux.HandleFunc("GET /stats", a.page(nil, a.stats))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such page"})
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadTimeout: 30 * time.Second}
	return server.Serve(listener)
}

// signup queues a welcome mail.
func (a *app) signup(ctx context.Context, f form) (any, error) {
	pushed, err := a.client.Push(ctx, queue, "welcome", welcomeData{Name: *f.Name, Email: *f.Email},
		&jobwire.PushOptions{BackoffDelay: time.Second})
	if err != nil {
		return nil, err
	}
	return map[string]string{"job": pushed.ID}, nil
}

// passwordReset queues a reset mail: it overtakes the welcomes, and is tried five times.
func (a *app) passwordReset(ctx context.Context, f form) (any, error) {
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, err
	}
	data := resetData{Email: *f.Email, Token: base64.RawURLEncoding.EncodeToString(token)}
	pushed, err := a.client.Push(ctx, queue, "password-reset", data,
		&jobwire.PushOptions{Priority: 10, MaxAttempts: 5, BackoffDelay: time.Second})
	if err != nil {
		return nil, err
	}
	return map[string]string{"job": pushed.ID}, nil
}

// stats tells how many mails wait, are being sent, are done, or could not be sent.
func (a *app) stats(ctx context.Context, _ form) (any, error) {
	stats, err := a.client.Stats(ctx, queue)
	if err != nil {
		return nil, err
	}
	c := stats.Counts
	return map[string]int{
		"waiting": c.Waiting, "delayed": c.Delayed, "active": c.Active, "completed": c.Completed, "dlq": c.DLQ,
	}, nil
}

// page reads a JSON object with fields, calls do, and writes a JSON object.
func (a *app) page(fields []string, do func(context.Context, form) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, err := readForm(w, r, fields)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		body, err := do(r.Context(), f)
		if err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the queue cannot take it now: " + err.Error()})
			return
		}
		status := http.StatusOK
		if r.Method == http.MethodPost {
			status = http.StatusAccepted
		}
		answer(w, status, body)
	}
}

func readForm(w http.ResponseWriter, r *http.Request, fields []string) (form, error) {
	var f form
	if len(fields) == 0 {
		return f, nil
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&f); err != nil {
		return f, err
	}
	for _, field := range fields {
		if (field == "name" && f.Name == nil) || (field == "email" && f.Email == nil) {
			return f, fmt.Errorf("send a JSON object with %s", strings.Join(fields, " and "))
		}
	}
	if !isAddress(*f.Email) {
		return f, errors.New("email is no address")
	}
	return f, nil
}

// answer writes body. A caller who has gone away is not told.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
