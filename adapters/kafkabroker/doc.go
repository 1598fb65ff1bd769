// Package kafkabroker is the broker on Apache Kafka, by franz-go: a Watermill
// Publisher and Subscriber of our own, whose records other Watermill services
// read and write as watermill-kafka does. It runs no Kafka, and uses no
// transactions: these can't span Postgres, and what makes an effect happen once
// is the consumers' inbox.
//
// # Topics and groups
//
// A topic has a topic of Kafka's, a message's subject is the record's key, and so
// what is of one subject is in one partition. A group has a consumer group of
// Kafka's for each topic, GROUP.TOPIC: a rebalance is of one topic's consumers,
// and Prepare can register a group on a new topic while it consumes others, which
// Kafka refuses within one group. Registered is what has committed an offset,
// at first that of the topic's start.
//
// # Order
//
// Each partition is one consumer's, and its records are handed out in order, so
// the order per subject holds with any number of consumers. It is that of first
// deliveries: what is nacked comes again later, and others overtake it.
//
// # Settling
//
// Kafka knows no ack of one message, only how far a partition is settled. So a
// consumer keeps what it handed out of a partition in order, and commits up to the
// first that is not settled: every second, when a partition moves, and when it
// closes. A nacked message waits for its retry in the consumer's memory, and what
// is behind it goes on; up to 256 of a partition may wait, then that partition
// pauses until half of these are through. How often one was nacked is known in
// memory alone, and begins anew with another consumer.
//
// When a consumer dies, everything after the last commit comes again, also
// what it had settled out of order behind an unsettled message. Delivery is
// at least once: consumers need an inbox. What the consumer had in hand may have
// killed it. So the commits' metadata say how often a partition's first unsettled
// message was handed out, and after a death the next ones are so one by one.
//
// # Slow handlers
//
// Heartbeats go on in the background, so a handler may take longer than the
// lease. Polling never blocks a rebalance. Partitions that move wait for what is
// in hand of them, at most RebalanceTimeout, while all others go on; and rather
// such partitions move as have nothing in hand (see balancer). A handler that is
// slower still is told by its message's context, and the message comes again
// elsewhere.
//
// # Publishing
//
// A batch is published as one, by an idempotent producer and with acks of all
// replicas in sync. When the broker does not answer in time, the batch is
// reported unavailable though it may have been stored: who publishes it again
// may double it.
package kafkabroker
