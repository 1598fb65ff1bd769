// Package connectapi is the driving adapter: it serves Lectern's API, the
// package lectern.v1 in proto/, over Connect, gRPC and gRPC-Web on one port,
// with gRPC health, reflection and a few plain HTTP endpoints beside it.
//
// It turns requests into calls of the use cases and what they return into
// messages or errors. It decides nothing about courses, and it does not know
// how callers prove who they are: a [ports.Authenticator] does.
package connectapi
