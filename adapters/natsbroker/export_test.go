package natsbroker

import "time"

// What the external tests see of the inside.

// RetryDelayAfter is retryDelay.
func (o Options) RetryDelayAfter(deliveries int) time.Duration { return o.retryDelay(deliveries) }

// GivesUpAfter is givesUp.
func (o Options) GivesUpAfter(deliveries int) bool { return o.givesUp(deliveries) }
