package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"lectern/adapters/embeddedpostgres"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitInput   = 2 // the command line, the config or the input must change
)

// inputError is a failure that the person who called can mend.
type inputError struct{ error }

// Unwrap returns the failure.
func (e inputError) Unwrap() error { return e.error }

// report prints an error once, and returns the exit code.
func (p *program) report(err error) int {
	if err == nil {
		return exitOK
	}
	text := strings.ReplaceAll(err.Error(), "\n", "\n  ")
	_, _ = fmt.Fprintf(p.stderr, "lectern: %s\n", text) // nobody left to tell
	return exitCode(err)
}

func exitCode(err error) int {
	var (
		input   inputError
		foreign *embeddedpostgres.ForeignFolderError
		version *embeddedpostgres.VersionError
		closed  *embeddedpostgres.UnreachableError
	)
	switch {
	case errors.As(err, &input), errors.As(err, &foreign), errors.As(err, &version), errors.As(err, &closed):
		return exitInput
	default:
		return exitFailure
	}
}

// misuse is a command line that can't be understood.
func misuse(cmd *cobra.Command, err error) error {
	return inputError{fmt.Errorf("%w\nsee '%s --help'", err, cmd.CommandPath())}
}

// positional makes a check of a command's arguments name the command's help.
func positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return misuse(cmd, err)
		}
		return nil
	}
}

// subcommand refuses a subcommand that there is not.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return misuse(cmd, err)
}

// fromServer turns what a call returned into what a person needs to know.
func fromServer(err error) error {
	var failed *connect.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) || !errors.As(err, &failed):
		return err
	}
	switch failed.Code() {
	case connect.CodeInvalidArgument, connect.CodeResourceExhausted, connect.CodeNotFound:
		return inputError{errors.New(failed.Message())}
	case connect.CodeUnavailable:
		return fmt.Errorf("the server can't be reached, or can't answer now: %s\n"+
			"start one with 'lectern serve', or leave out --server", failed.Message())
	default:
		return errors.New(failed.Message())
	}
}
