package ports

import "context"

// Adviser is a broker that can tell whether its server is set up to keep what it
// is given. Not every broker is one.
type Adviser interface {
	// Advice says what is wrong, a line each with what to do about it; of what it
	// may not look at, that too. The error says that the server can't be used at
	// all, and why.
	Advice(ctx context.Context) ([]string, error)
}
