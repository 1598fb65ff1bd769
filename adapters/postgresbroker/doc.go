// Package postgresbroker is the durable broker on Postgres: Watermill's SQL
// Pub/Sub (watermill-sql/v3) with queue adapters of our own.
//
// # Tables
//
// One schema holds subscriptions (the groups of each topic) and messages: one
// row for each message and group, which the group's ack deletes. A group that
// is not registered when a message is published never sees it.
//
// # Leases instead of transactions
//
// The stock subscriber keeps a transaction open while a handler runs. That
// would hold back vacuum, and every reader of pg_snapshot_xmin, for as long as
// the slowest job. Here its transactions are no transactions (see connector):
// each statement commits at once. A claim leases a row by moving due_at to the
// lease's end; while its consumer lives, all its leases are extended three
// times a lease, however slow the handler; when it dies, the rows are due
// again. All times are the database's.
//
// # Settling
//
// A nack would make the stock subscriber resend for ever in its transaction,
// so it never sees one: a slot stands between it and the handler, notes the
// outcome and acks, and the statement that the stock subscriber then asks for
// deletes the row (ack), delays it by the attempts so far (nack), or gives it
// back (closed before it was handed out). A claim is one row, so that no ack
// can cover a row that nobody handled.
//
// An ack that does not reach the server brings the message back after the
// lease. Delivery is at least once: consumers need an inbox.
//
// # Order and wake-up
//
// A consumer works on Concurrency messages of a topic, in as many slots. They
// take turns: only the slot whose turn it is asks for a row, and it passes the
// turn on when it has handed its message out. So a lone consumer hands out in
// the order of publishing, and an idle one asks once, not once a slot. Publish
// notifies, by a channel within the process and by NOTIFY to others; polling,
// adaptive up to PollInterval, finds what became due by time.
package postgresbroker
