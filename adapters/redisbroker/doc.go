// Package redisbroker is the broker on Redis Streams, of Redis 6.2 or later or
// what speaks its commands: one stream a topic, one consumer group a group, in
// the wire format of watermill-redisstream, so that other Watermill services can
// publish to our topics and consume them in groups of their own.
//
// It is no cluster client, and asks no sentinel: it needs one address that leads
// to the server that can be written to. The server must persist (appendonly yes)
// and must not evict (maxmemory-policy noeviction): what it forgets is lost.
//
// # Why not watermill-redisstream
//
// Its publisher waits for each message. Its subscriber, which can't be
// configured out of it, reads one entry at a time, claims entries from itself
// when a handler outlives MaxIdleTime, closes its channel at an entry that it
// can't decode, resends a nacked message within its loop for ever, drops what it
// has in hand when it closes, and closes the client that it was given. So only
// the format is its own here, and the reading of it.
//
// # Where things are
//
// All that there is to know of a message stands in its group's list of pending
// entries: who has it, since when, and how often it was handed out. There is
// nothing beside it to keep in step with it, or to be lost with a process.
//
//   - A consumer has a name of its own. The leases of what it holds are renewed
//     three times a lease, however slow the handlers; what was idle for a whole
//     lease was left by a consumer that died, and others take it.
//   - A nacked entry goes to the name "delayed", which nobody is, and is due
//     there once it was idle for the delay that its number of deliveries makes.
//   - What a closing or slow consumer had taken in advance goes to the name
//     "returned", and is taken from there before what is new.
//
// An entry changes hands only if it still belongs to whom the mover thinks, and
// was delivered as often, by a script: XCLAIM alone would let a consumer that was
// frozen past its lease take its messages back from who has them now. That
// consumer's ack still counts, its nack does not. Nor does a nack that is told
// again, its answer being lost, when the message is in hand once more.
//
// # Order
//
// One reader per subscription takes entries and hands them out in order, up to
// Concurrency at once. How much it takes in advance follows the handlers' speed:
// nothing while they are slow, up to 500 entries while they are fast.
//
// # What is kept
//
// What all groups of a stream have settled is trimmed, once a second, by whoever
// acks: never what a group has yet to settle, be it ours or another service's.
// Who reads a stream without a group is not seen. A message that waits for its
// next delivery keeps those after it in the stream.
//
// # Rights
//
// The user needs, on keys that begin with TopicPrefix, the commands XADD,
// XREADGROUP, XACK, XCLAIM, XPENDING, XRANGE, XTRIM, XGROUP and XINFO, and HELLO,
// AUTH, SELECT, PING, EVAL and EVALSHA. CONFIG GET is for Advice alone, which says
// so when it may not.
//
// An answer that gets lost brings a message twice, published or delivered:
// delivery is at least once, and consumers need an inbox.
package redisbroker
