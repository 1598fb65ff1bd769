package kafkabroker

import "github.com/twmb/franz-go/pkg/kgo"

// Linger is how long what is published waits for company.
func (b *Broker) Linger() any { return b.client.OptValue(kgo.ProducerLinger) }
