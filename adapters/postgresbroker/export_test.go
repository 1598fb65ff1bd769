package postgresbroker

import (
	"time"

	"lectern/ports"
)

// What the external tests see of the inside.

// Classify is classify.
func Classify(err error) ports.PublishFailure { return classify(err) }

// RetryDelayAfter is retryDelay.
func (o Options) RetryDelayAfter(attempts int) time.Duration { return o.retryDelay(attempts) }

// ClaimQuery is how a group's next message is found.
func (b *Broker) ClaimQuery(topic, group string) (query string, args []any) {
	q := b.queries.claim(topic, group)
	return q.Query, q.Args
}

// Signal returns a topic's signal, and a function that removes it.
func (b *Broker) Signal(topic string) (<-chan struct{}, func()) { return b.signals.add(topic) }
