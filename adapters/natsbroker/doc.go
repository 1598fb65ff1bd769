// Package natsbroker is the broker on NATS JetStream.
//
// # Layout
//
// A topic is a stream of one subject, a group a durable pull consumer of it. The
// stream keeps a message until each durable has acknowledged it (its retention is
// by interest), so nothing is removed that a group has yet to settle. A durable
// that does not exist when a message is published never sees it, and a stream
// without durables drops what it acknowledges: Publish looks at a topic before its
// first message, and refuses what no group would get.
//
// # Publishing
//
// All of a batch is sent, then all of its acknowledgements are awaited. The client
// keeps nothing for later while it is not connected. There is no Nats-Msg-Id: see
// Publish.
//
// # Consuming
//
// A consumer asks for messages by requests of its own making (see puller), for as
// many as its handlers can be given at once. While a process lives it begins the
// leases of all it holds anew, three times a lease; when it dies, the server gives
// its messages to others.
//
// An ack or a nack is sent and not waited for. One that does not reach the server
// brings the message back after the lease: delivery is at least once, and
// consumers need an inbox. A closing consumer waits until the server has these, and
// gives back, in their order, the messages that nobody was given.
//
// The server counts deliveries, and can't subtract those that were given back
// unseen. So these are noted before, in a stream beside those of the topics (see
// unseen), and looked up when a message that was delivered before is nacked, or
// comes after max_deliveries: nobody pays for it but they. A message that is nacked
// when it was handed out max_deliveries times becomes a dead letter; so does one
// that comes after so many, since its consumers died of it. What such a consumer
// had taken besides, or was on its way when a connection broke, counts too: it
// looks the same.
//
// # What it is not
//
// It neither runs a server nor changes a stream that is there. With several
// consumers in a group it keeps no order.
package natsbroker
