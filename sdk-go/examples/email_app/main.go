// The e-mail example: a web app that answers as soon as a mail is queued, and the worker that sends the mails.
//
//	email_app web       # PORT, 8080 when left out
//	email_app worker    # SMTP_HOST, SMTP_PORT, MAIL_FROM and the like
package main

import (
	"errors"
	"log"
	"os"

	jobwire "github.com/jobwire/jobwire/sdk-go"
)

const queue = "emails"

func main() {
	client, err := jobwire.NewClient("", &jobwire.Config{Logf: log.Printf})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	switch {
	case len(os.Args) == 2 && os.Args[1] == "web":
		err = serve(client)
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = work(client)
	default:
		err = errors.New("usage: email_app web | worker")
	}
	if err != nil {
		log.Fatal(err)
	}
}
