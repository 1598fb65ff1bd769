// Package watermillrelay is the outbox as a stream (ports.EntryStream) of
// Watermill's own parts: the stock subscriber of watermill-sql/v3 reads
// job_outbox through a schema adapter and an offsets adapter of ours, and a
// Watermill router hands each message to the relay, which publishes it. It is
// the engine that relay.engine: watermill names.
//
// # One transaction a look
//
// A look is one transaction: it locks the stream, reads a batch, stays open
// while each entry is published, and settles all of them at its end. The lock
// is advisory and the transaction's, so there is one reader among all
// processes; another goes on as soon as the transaction is over, however it
// ended. That keeps the order of each course with any number of relays, and is
// the fence too: whoever lost the transaction can't settle. A look that sends
// nothing for idleTimeout, because its process is frozen, is ended by the
// server.
//
// # What the stock subscriber does by itself, and what is done about it
//
// It acknowledges by the last row that was acked alone: each row carries its
// batch in ExtraData, and so the last one names them all. It resends what is
// nacked within its transaction, for ever: nothing is nacked, an entry that
// failed is parked or buried by the ack, or left as it is. What
// ConsumedMessageQuery changes would stand although nobody acked: it is empty.
// Closed in mid-batch it forgets the message that is being handled: here a look
// is over before the router is closed. Past AckDeadline it does the same: that
// is out of reach. It sleeps between looks whatever happens: its BackoffManager
// waits instead, for a wake-up too. It waits for the server without a bound: a
// look that takes too long is cut off, and a new subscriber begins. The router
// runs a goroutine for each message: the subscriber gives it one at a time.
package watermillrelay
