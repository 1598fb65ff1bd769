package kafkabroker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"lectern/configs"
)

// Options configures a Broker; DecodeOptions names the defaults.
type Options struct {
	// Addresses are host:port of brokers of the cluster to begin with; one that
	// answers is enough. Required.
	Addresses []string `koanf:"addresses"`

	// TLS is how to talk to the brokers in private; off by default.
	TLS configs.TLS `koanf:"tls"`

	// SASLMechanism is how to log in: plain, scram-sha-256 or scram-sha-512, with
	// the user and password of Login. Empty, by default: not at all.
	SASLMechanism string        `koanf:"sasl_mechanism"`
	Login         configs.Login `koanf:"login"`

	// TopicPrefix begins the names of all topics on the broker; "lectern." by
	// default.
	TopicPrefix string `koanf:"topic_prefix"`

	// Groups gives our groups other names on the broker. A consumer group there
	// is called by that name, a dot, and the topic's name.
	Groups map[string]string `koanf:"groups"`

	// CreateTopics lets Prepare make topics that are missing; true by default.
	// Then they get Partitions (a dead-letter topic gets one), Replication (-1:
	// as many replicas as is the brokers' default) and Retention (0: messages are
	// kept for ever); 6, -1 and 0 by default. Topics that exist are left as they are.
	CreateTopics bool          `koanf:"create_topics"`
	Partitions   int32         `koanf:"partitions"`
	Replication  int16         `koanf:"replication"`
	Retention    time.Duration `koanf:"retention"`

	// MaxMessageBytes is the largest payload; 983040 (960 KiB) by default, which
	// fits into what a broker accepts by default. Topics must accept 64 KiB more,
	// for key and headers.
	MaxMessageBytes int `koanf:"max_message_bytes"`

	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled; 1 or more, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// Lease is how long a consumer that died keeps its partitions from the
	// others: Kafka's session timeout, which brokers take from 6s to 30m by
	// default; 15s by default.
	Lease time.Duration `koanf:"lease"`

	// RebalanceTimeout is how long partitions that move to another consumer wait
	// for what is in hand of them; 5m by default. Then the handlers' contexts
	// end, and these messages come again elsewhere.
	RebalanceTimeout time.Duration `koanf:"rebalance_timeout"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// MaxDeliveries is how often a message may be nacked, or its consumer die,
	// before it becomes a dead letter; 0 is for ever, 100 by default.
	MaxDeliveries int `koanf:"max_deliveries"`

	// Timeout bounds a call to the brokers, publishing a batch included; 10s by
	// default.
	Timeout time.Duration `koanf:"timeout"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `koanf:"close_timeout"`
}

// headroom is what a batch of one message may hold beside its payload.
const headroom = 64 << 10

// maxPayload keeps a message well below what brokers read at once, 100 MiB.
const maxPayload = 64 << 20

const (
	plainMechanism       = "plain"
	scramSHA256Mechanism = "scram-sha-256"
	scramSHA512Mechanism = "scram-sha-512"
)

// DecodeOptions reads the section broker.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		TopicPrefix:      "lectern.",
		CreateTopics:     true,
		Partitions:       6,
		Replication:      -1,
		MaxMessageBytes:  960 << 10,
		Concurrency:      4,
		Lease:            15 * time.Second,
		RebalanceTimeout: 5 * time.Minute,
		RetryDelay:       time.Second,
		RetryDelayMax:    time.Minute,
		MaxDeliveries:    100,
		Timeout:          10 * time.Second,
		CloseTimeout:     10 * time.Second,
	}
	if err := configs.DecodeOptions(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the kafka broker: %w", err)
	}
	if err := opts.validate(); err != nil {
		return Options{}, fmt.Errorf("read options of the kafka broker: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	errs := []error{o.TLS.Validate(), o.Login.Validate(), o.validateNames()}
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	mechanisms := []string{"", plainMechanism, scramSHA256Mechanism, scramSHA512Mechanism}
	check(slices.Contains(mechanisms, o.SASLMechanism), "sasl_mechanism must be one of "+strings.Join(mechanisms[1:], ", ")+", or empty")
	check((o.SASLMechanism != "") == (o.Login != configs.Login{}), "sasl_mechanism and login must be given together")
	check(o.Partitions >= 1, "partitions must be 1 or more")
	check(o.Replication == -1 || o.Replication >= 1, "replication must be 1 or more, or -1 for the brokers' default")
	check(o.Retention == 0 || o.Retention >= time.Second, "retention must be 1s or more, or 0s for ever")
	check(o.MaxMessageBytes >= 1 && o.MaxMessageBytes <= maxPayload, "max_message_bytes must be 1 to 67108864 (64 MiB)")
	check(o.Concurrency >= 1, "concurrency must be 1 or more")
	check(o.MaxDeliveries >= 0, "max_deliveries must be 0 (for ever) or more")
	check(o.Lease >= 100*time.Millisecond, "lease must be 100ms or more")
	check(o.Timeout >= 100*time.Millisecond, "timeout must be 100ms or more")
	for name, d := range map[string]time.Duration{
		"rebalance_timeout": o.RebalanceTimeout, "retry_delay": o.RetryDelay, "close_timeout": o.CloseTimeout,
	} {
		check(d >= time.Millisecond, name+" must be 1ms or more")
	}
	check(o.RetryDelayMax >= o.RetryDelay, "retry_delay_max must be retry_delay or more")
	return errors.Join(errs...)
}

func (o Options) validateNames() error {
	var errs []error
	if len(o.Addresses) == 0 {
		errs = append(errs, errors.New("addresses must name a broker, like kafka:9092"))
	}
	if slices.ContainsFunc(o.Addresses, isNoAddress) { // which is not repeated: it may hold a password
		errs = append(errs, errors.New("addresses must be host:port each, without a scheme; login and tls are options of their own"))
	}
	if o.TopicPrefix != "" && !isName(o.TopicPrefix) {
		errs = append(errs, fmt.Errorf("topic_prefix must have letters, digits, or any of . _ -, not %q", o.TopicPrefix))
	}
	for group, name := range o.Groups {
		if !isName(name) {
			errs = append(errs, fmt.Errorf("groups.%s must have letters, digits, or any of . _ -, not %q", group, name))
		}
	}
	return errors.Join(errs...)
}

func isNoAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err != nil || host == "" || port == "" || strings.ContainsAny(s, "@/ ")
}

// isName tells whether a topic may be called so.
func isName(s string) bool {
	return len(s) >= 1 && len(s) <= 249 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}) < 0
}

// topicName is what the broker calls a topic.
func (o Options) topicName(topic string) string { return o.TopicPrefix + topic }

// groupName is what the broker calls a group on a topic.
func (o Options) groupName(group, topic string) string {
	if name, renamed := o.Groups[group]; renamed {
		group = name
	}
	return group + "." + o.topicName(topic)
}

// batchBytes is what a topic must accept for the largest message that we publish.
func (o Options) batchBytes() int { return o.MaxMessageBytes + headroom }

// topicBytes is the largest batch that topics of our making accept: what brokers
// do by default, or more. Dead letters may need it, if not what we publish.
func (o Options) topicBytes() int { return max(o.batchBytes(), 1<<20) }

// retryDelay is the wait after the nth nack.
func (o Options) retryDelay(nacks int) time.Duration {
	delay := o.RetryDelay
	for ; nacks > 1 && delay < o.RetryDelayMax; nacks-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax)
}
