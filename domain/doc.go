// Package domain holds Lectern's pure types and rules: the course and its
// state machine, the outbox entry, the event, the idempotency key, the job,
// and the shape of documents and of a finished course.
//
// It knows nothing of databases, brokers or transports, reads no clock and
// draws no random number: whatever varies comes in as an argument. Its
// constructors cannot build an invalid value; what they refuse comes back as
// an [*Error] that names the field.
package domain
