package redisbroker

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"lectern/configs"
)

// Options configures a Broker; DecodeOptions names the defaults.
type Options struct {
	// Addresses is the server, host:port: exactly one. Required.
	Addresses []string `koanf:"addresses"`

	// Database is the number that keys are in; 0 by default.
	Database int `koanf:"db"`

	// Login is user and password, where the server wants them.
	Login configs.Login `koanf:"login"`

	// TLS is off by default.
	TLS configs.TLS `koanf:"tls"`

	// TopicPrefix begins the key of each topic's stream; "lectern:" by default.
	TopicPrefix string `koanf:"topic_prefix"`

	// Groups maps the name of a group of ours to that on the server, where the
	// two are not the same.
	Groups map[string]string `koanf:"groups"`

	// CreateTopics has Prepare make the streams and groups that are missing, as
	// is the default; if not, it checks that they are there.
	CreateTopics bool `koanf:"create_topics"`

	// MaxLength is how many entries of a topic are kept at most, about: what is
	// older is lost, whether or not it was consumed. It is for those who rather
	// lose messages than memory. 0, the default, keeps every entry until all
	// groups have settled it.
	MaxLength int64 `koanf:"max_length"`

	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled; 1 or more, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// MaxMessageBytes is the largest payload; 1 MiB by default.
	MaxMessageBytes int `koanf:"max_message_bytes"`

	// Lease is how long a consumer that died keeps its messages from the
	// others; 100ms or more, 15s by default.
	Lease time.Duration `koanf:"lease"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// MaxDeliveries is how often a message is handed out, and nacked or left by
	// a consumer that died, before it becomes a dead letter; 100 by default,
	// and 0 for without end.
	MaxDeliveries int `koanf:"max_deliveries"`

	// Timeout bounds a call to the server, publishing a batch included; 10s by
	// default.
	Timeout time.Duration `koanf:"timeout"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `koanf:"close_timeout"`
}

// maxPayload keeps a message well below what a server takes at once, 512 MiB.
const maxPayload = 64 << 20

// DecodeOptions reads the section broker.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		TopicPrefix:     "lectern:",
		CreateTopics:    true,
		Concurrency:     4,
		MaxMessageBytes: 1 << 20,
		Lease:           15 * time.Second,
		RetryDelay:      time.Second,
		RetryDelayMax:   time.Minute,
		MaxDeliveries:   100,
		Timeout:         10 * time.Second,
		CloseTimeout:    10 * time.Second,
	}
	err := configs.DecodeOptions(raw, &opts)
	if err == nil {
		err = opts.validate()
	}
	if err != nil {
		return Options{}, fmt.Errorf("read options of the redis broker: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	errs := []error{o.checkAddresses(), o.Login.Validate(), o.TLS.Validate(), o.checkNames()}
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	check(o.Database >= 0, "db must be 0 or more")
	check(o.MaxLength >= 0, "max_length must be 0 or more")
	check(o.Concurrency >= 1, "concurrency must be 1 or more")
	check(o.MaxMessageBytes >= 1 && o.MaxMessageBytes <= maxPayload, "max_message_bytes must be 1 to 67108864 (64 MiB)")
	check(o.Lease >= 100*time.Millisecond, "lease must be 100ms or more")
	check(o.RetryDelay >= time.Millisecond, "retry_delay must be 1ms or more")
	check(o.RetryDelayMax >= o.RetryDelay, "retry_delay_max must be retry_delay or more")
	check(o.MaxDeliveries >= 0, "max_deliveries must be 0 or more")
	check(o.Timeout >= 100*time.Millisecond, "timeout must be 100ms or more")
	check(o.CloseTimeout >= time.Millisecond, "close_timeout must be 1ms or more")
	return errors.Join(errs...)
}

// checkAddresses does not repeat an address, which may hold a password.
func (o Options) checkAddresses() error {
	if len(o.Addresses) != 1 {
		return errors.New("addresses must name one server: host:port")
	}
	for _, address := range o.Addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" || strings.ContainsAny(address, "@/ ") {
			return errors.New("addresses must be host:port each, without a scheme; login, db and tls are options of their own")
		}
	}
	return nil
}

func (o Options) checkNames() error {
	var errs []error
	if len(o.TopicPrefix) > 100 {
		errs = append(errs, errors.New("topic_prefix must have 100 bytes or less"))
	}
	for group, name := range o.Groups {
		if name == "" {
			errs = append(errs, fmt.Errorf("groups.%s must be a name", group))
		}
	}
	return errors.Join(errs...)
}

// stream is the key of a topic.
func (o Options) stream(topic string) string { return o.TopicPrefix + topic }

// group is a group's name on the server.
func (o Options) group(group string) string {
	if name, other := o.Groups[group]; other {
		return name
	}
	return group
}

// delay is how long an entry is idle before its next delivery: the wait after its
// nth, and one tick more of the clock that measures it.
func (o Options) delay(deliveries int64) time.Duration {
	delay := o.RetryDelay
	for ; deliveries > 1 && delay < o.RetryDelayMax; deliveries-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax) + time.Millisecond
}

// givesUp tells whether a message is given up after its nth delivery.
func (o Options) givesUp(deliveries int64) bool {
	return o.MaxDeliveries > 0 && deliveries >= int64(o.MaxDeliveries)
}
