// Package e2e drives the built binary from outside, as a client and an operator
// would: through its commands, its ports and its signals. It imports the
// generated clients and e2e/stack, and nothing else of Lectern.
package e2e
