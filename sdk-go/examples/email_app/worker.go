package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/textproto"
	"os"
	"strconv"
	"time"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

// permanent is the first reply of a mail server that says no for good.
const permanent = 500

// work sends mails until SIGTERM.
func work(client *jobwire.Client) error {
	concurrency, err := numberFromEnvironment("WORKER_CONCURRENCY", 4)
	if err != nil {
		return err
	}
	lease, err := numberFromEnvironment("WORKER_LEASE", 30)
	if err != nil {
		return err
	}
	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{
		Queues:      []string{queue},
		Concurrency: concurrency,
		Lease:       time.Duration(lease) * time.Second,
		OnError:     func(err error, job *jobwire.Job) { log.Printf("failed: %v", err) },
	})
	if err != nil {
		return err
	}
	mailer := &mailer{}
	defer mailer.close()
	jobwire.Handle(worker, "welcome", func(_ context.Context, job *jobwire.JobOf[welcomeData]) (any, error) {
		return mailer.deliver(func(sender string) (*mailMessage, error) { return welcome(job.ID, sender, job.Data) })
	})
	jobwire.Handle(worker, "password-reset", func(_ context.Context, job *jobwire.JobOf[resetData]) (any, error) {
		return mailer.deliver(func(sender string) (*mailMessage, error) { return passwordReset(job.ID, sender, job.Data) })
	})
	return worker.Run(context.Background())
}

// deliver writes a mail and sends it. A refusal for good ends the job; everything else is tried again.
func (m *mailer) deliver(write func(sender string) (*mailMessage, error)) (any, error) {
	settings, err := settingsFromEnvironment()
	if err != nil {
		return nil, err
	}
	message, err := write(settings.sender)
	if err != nil {
		return nil, jobwire.Discard(err)
	}
	err = m.send(settings, message)
	var refusal *textproto.Error
	if errors.As(err, &refusal) && refusal.Code >= permanent {
		return nil, jobwire.Discard(fmt.Errorf("the mail server refused the mail: %w", err))
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"message_id": message.id}, nil
}

func numberFromEnvironment(name string, fallback int) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return fallback, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is no number: %w", name, err)
	}
	return number, nil
}
