// Command serve is a jobwiretest.Server as a process of its own, for the contract tests of sdk-python/tests/contract.
//
// It says where it is, {"http": URL, "tcp": URL}, and then obeys one line after another, answering each with {}: {"advance_ms": N}
// moves its clock. It ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest"
)

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	server, err := jobwiretest.StartServer(nil)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Printf("{\"http\":%q,\"tcp\":%q}\n", server.URL(), server.TCPURL())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var order struct {
			AdvanceMS int64 `json:"advance_ms"`
		}
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		server.Advance(time.Duration(order.AdvanceMS) * time.Millisecond)
		fmt.Println("{}")
	}
	return lines.Err()
}
