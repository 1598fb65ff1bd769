// Package memorybroker is the broker within one process, for tests and for
// deployments of a single process that may lose queued jobs when it ends (the
// outbox keeps what was not published, not what was).
//
// Each topic has one queue for each registered group, so that every group gets
// every message; the consumers of a group take from the same queue. Nothing is
// lost while the broker is open: a message waits for a consumer, and what a
// closed consumer did not settle goes back to its place.
//
// It is not durable and not shared between processes: that is postgresbroker.
package memorybroker
