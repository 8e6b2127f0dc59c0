package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"time"
)

const smtpTimeout = 30 * time.Second

// smtpSettings say where mails go, and who they are from.
type smtpSettings struct {
	host, port         string
	username, password string
	starttls           bool
	sender             string
}

// settingsFromEnvironment names all variables that are missing; that fails the job and not the start, and whoever mends it retries the job.
func settingsFromEnvironment() (*smtpSettings, error) {
	var missing []string
	for _, name := range []string{"SMTP_HOST", "MAIL_FROM"} {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("set %s in the worker's environment", strings.Join(missing, " and "))
	}
	settings := &smtpSettings{
		host: os.Getenv("SMTP_HOST"), port: os.Getenv("SMTP_PORT"), sender: os.Getenv("MAIL_FROM"),
		username: os.Getenv("SMTP_USERNAME"), password: os.Getenv("SMTP_PASSWORD"),
	}
	if settings.port == "" {
		settings.port = "587"
	}
	settings.starttls = settings.username != ""
	if choice := os.Getenv("SMTP_STARTTLS"); choice != "" {
		settings.starttls = choice == "on"
	}
	return settings, nil
}

// mailer sends mails, each over a connection that no other uses meanwhile, and keeps connections for the next mails.
type mailer struct {
	mu   sync.Mutex
	idle []*smtpConn
}

type smtpConn struct {
	*smtp.Client
	conn net.Conn
}

// send returns a *textproto.Error when the mail server says no. After an error the connection is given up.
func (m *mailer) send(settings *smtpSettings, message *mailMessage) (err error) {
	conn := m.kept()
	if conn == nil {
		if conn, err = dial(settings); err != nil {
			return err
		}
	}
	if err := conn.transmit(settings.sender, message); err != nil {
		_ = conn.Close() // the first error tells more
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle = append(m.idle, conn)
	return nil
}

// kept is a connection of an earlier mail that is still alive, or nil.
func (m *mailer) kept() *smtpConn {
	for {
		m.mu.Lock()
		if len(m.idle) == 0 {
			m.mu.Unlock()
			return nil
		}
		conn := m.idle[len(m.idle)-1]
		m.idle = m.idle[:len(m.idle)-1]
		m.mu.Unlock()
		if conn.conn.SetDeadline(time.Now().Add(smtpTimeout)) == nil && conn.Noop() == nil {
			return conn
		}
		_ = conn.Close() // it died while nobody used it
	}
}

func (m *mailer) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range m.idle {
		_ = conn.Close()
	}
	m.idle = nil
}

func dial(settings *smtpSettings) (*smtpConn, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(settings.host, settings.port), smtpTimeout)
	if err != nil {
		return nil, err
	}
	greeted, err := greet(conn, settings)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &smtpConn{Client: greeted, conn: conn}, nil
}

func greet(conn net.Conn, settings *smtpSettings) (*smtp.Client, error) {
	if err := conn.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return nil, err
	}
	client, err := smtp.NewClient(conn, settings.host)
	if err != nil {
		return nil, err
	}
	if settings.starttls {
		if err := client.StartTLS(&tls.Config{ServerName: settings.host}); err != nil {
			return nil, err
		}
	}
	if settings.username != "" {
		if err := client.Auth(smtp.PlainAuth("", settings.username, settings.password, settings.host)); err != nil {
			return nil, err
		}
	}
	return client, nil
}

func (c *smtpConn) transmit(sender string, message *mailMessage) error {
	if err := c.conn.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return err
	}
	from, err := mail.ParseAddress(sender)
	if err != nil {
		return fmt.Errorf("MAIL_FROM: %w", err)
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(message.to); err != nil {
		return err
	}
	body, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(body, message.text); err != nil {
		return err
	}
	return body.Close()
}
