// Command with-stack runs a command with the servers that tests need, so that
// all packages of a run share them:
//
//	go run ./e2e/stack/cmd/with-stack -- go test -race ./...
//
// It exits as the command does.
package main

import (
	"context"
	"fmt"
	"os"

	"lectern/e2e/stack"
)

func main() {
	command := os.Args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "with-stack: no command: with-stack -- COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := stack.Run(context.Background(), command, stack.WithRedis, stack.WithKafka, stack.WithNATS, stack.WithS3)
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-stack:", err)
		os.Exit(max(code, 1))
	}
	os.Exit(code)
}
