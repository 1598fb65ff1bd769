package postgresbroker

import "time"

// What the external tests see of the inside.

// Classify is classify.
var Classify = classify

// RetryDelayAfter is retryDelay.
func (o Options) RetryDelayAfter(attempts int) time.Duration { return o.retryDelay(attempts) }

// Signal returns a topic's signal, and a function that removes it.
func (b *Broker) Signal(topic string) (<-chan struct{}, func()) { return b.signals.add(topic) }
