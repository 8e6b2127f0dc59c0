package main

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/mail"
	"regexp"
	"strings"
	"time"
)

const (
	lineBytes    = 76  // of base64
	literalBytes = 900 // a line has 998 at most
)

var addressPattern = regexp.MustCompile("^[\\w.!#$%&'*+/=?^`{|}~-]+@[\\w.-]+$")

type welcomeData struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type resetData struct {
	Email string `json:"email"`
	Token string `json:"token"`
}

// mailMessage is a MIME message with a subject and a text and an HTML body, in whatever script the names are.
type mailMessage struct {
	id   string // its Message-ID
	to   string // the recipient's address
	text string // the whole message, lines ended by CRLF
}

// welcome is the mail after a signup.
func welcome(jobID, sender string, data welcomeData) (*mailMessage, error) {
	text := fmt.Sprintf("Welcome, %s!\n\nGood to have you here.\n", data.Name)
	return newMessage(jobID, sender, mail.Address{Name: data.Name, Address: data.Email}, "Welcome, "+data.Name, text)
}

// passwordReset is the mail with the link to a new password.
func passwordReset(jobID, sender string, data resetData) (*mailMessage, error) {
	text := fmt.Sprintf("Someone asked for a new password for %s.\n\nIf it was you: https://app.example.com/reset/%s\n", data.Email, data.Token)
	return newMessage(jobID, sender, mail.Address{Address: data.Email}, "Your new password", text)
}

// isAddress says whether a mail can be sent to it: nothing in it can end a line or a command of SMTP.
func isAddress(email string) bool { return addressPattern.MatchString(email) }

func newMessage(jobID, sender string, to mail.Address, subject, text string) (*mailMessage, error) {
	if !isAddress(to.Address) {
		return nil, fmt.Errorf("this is no address: %q", to.Address)
	}
	id := fmt.Sprintf("<%s@jobwire.example>", jobID)
	boundary := "part-of-" + jobID
	var b strings.Builder
	fmt.Fprintf(&b, "Message-ID: %s\r\nDate: %s\r\nFrom: %s\r\n", id, time.Now().UTC().Format(time.RFC1123Z), sender)
	fmt.Fprintf(&b, "To: %s\r\nSubject: %s\r\n", recipient(to), headerText(subject))
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=%q\r\n\r\n", boundary)
	writePart(&b, boundary, "plain", text)
	writePart(&b, boundary, "html", "<p>"+html.EscapeString(text)+"</p>")
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return &mailMessage{id: id, to: to.Address, text: b.String()}, nil
}

func writePart(b *strings.Builder, boundary, subtype, text string) {
	fmt.Fprintf(b, "--%s\r\nContent-Type: text/%s; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, subtype)
	encoded := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	for len(encoded) > 0 {
		line := encoded[:min(lineBytes, len(encoded))]
		encoded = encoded[len(line):]
		b.WriteString(line + "\r\n")
	}
}

// recipient is the name and the address of to, as RFC 5322 writes them.
func recipient(to mail.Address) string {
	if isLiteral(to.Name) {
		return to.String()
	}
	return encodedWords(to.Name) + " <" + to.Address + ">"
}

func headerText(text string) string {
	if isLiteral(text) {
		return text
	}
	return encodedWords(text)
}

func isLiteral(text string) bool {
	for _, character := range text {
		if character < ' ' || character > '~' {
			return false
		}
	}
	return len(text) <= literalBytes && !strings.Contains(text, "=?")
}

// encodedWords is text as RFC 2047 writes it, a word a line. No word ends within a character.
func encodedWords(text string) string {
	const wordBytes = 45 // of text, in a word of at most 75 characters
	words := []string{""}
	for _, character := range text {
		if len(words[len(words)-1])+len(string(character)) > wordBytes {
			words = append(words, "")
		}
		words[len(words)-1] += string(character)
	}
	for i, word := range words {
		words[i] = "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(word)) + "?="
	}
	return strings.Join(words, "\r\n ")
}
