package natsbroker

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
	// Addresses are the servers to begin with, host:port each; the others of a
	// cluster are found through them. Required.
	Addresses []string `koanf:"addresses"`

	// Login is user and password, where the server wants them.
	Login configs.Login `koanf:"login"`

	// Token and TokenFile are another way to log in, CredentialsFile the third:
	// what `nsc` writes, a JWT and its seed. At most one of the ways.
	Token           configs.Secret `koanf:"token"`
	TokenFile       string         `koanf:"token_file"`
	CredentialsFile string         `koanf:"credentials_file"`

	// TLS is off by default.
	TLS configs.TLS `koanf:"tls"`

	// TopicPrefix begins each topic's subject, and with _ for each dot its
	// stream's name; "lectern." by default.
	TopicPrefix string `koanf:"topic_prefix"`

	// Groups maps the name of a group of ours to that of its durable consumer,
	// where the two are not the same.
	Groups map[string]string `koanf:"groups"`

	// CreateTopics has Prepare make the streams and durables that are missing,
	// as is the default; if not, it checks that they are there. What is there
	// is never changed: the options of streams and durables are of new ones.
	CreateTopics bool `koanf:"create_topics"`

	// Replicas is how many servers keep a stream; 1 to 5, 1 by default.
	Replicas int `koanf:"replicas"`

	// MaxLength and MaxBytes are how many messages, and bytes of them, a stream
	// holds that a group has yet to settle: what is published beyond that is
	// unavailable, and nothing is lost. 0, the default, sets no limit.
	MaxLength int64 `koanf:"max_length"`
	MaxBytes  int64 `koanf:"max_bytes"`

	// MaxAge removes what is older, whether or not it was consumed; 0, the
	// default, removes nothing.
	MaxAge time.Duration `koanf:"max_age"`

	// Concurrency is how many messages of a topic a consumer hands out before
	// one is settled, and takes from the others at most; 1 or more, 4 by default.
	Concurrency int `koanf:"concurrency"`

	// MaxMessageBytes is the largest payload; 960 KiB by default, which leaves
	// room for metadata in the 1 MiB that a server accepts by default.
	MaxMessageBytes int `koanf:"max_message_bytes"`

	// Lease is how long a consumer that died keeps its messages from the
	// others, 15s by default. It is of the durable, and so of new ones.
	Lease time.Duration `koanf:"lease"`

	// RetryDelay is the wait after a message's first nack, 1s by default;
	// each further one doubles it, up to RetryDelayMax, 1m by default.
	RetryDelay    time.Duration `koanf:"retry_delay"`
	RetryDelayMax time.Duration `koanf:"retry_delay_max"`

	// MaxDeliveries is how often a message is handed out and nacked, or taken
	// by a consumer that died, before it becomes a dead letter; 100 by default,
	// and 0 for without end. What a consumer gives back unseen when it closes
	// does not count.
	MaxDeliveries int `koanf:"max_deliveries"`

	// Timeout bounds a call to the server, publishing a batch included; 100ms
	// or more, 10s by default.
	Timeout time.Duration `koanf:"timeout"`

	// CloseTimeout is how long a closing consumer waits for what is in hand,
	// 10s by default.
	CloseTimeout time.Duration `koanf:"close_timeout"`
}

// DecodeOptions reads the section broker.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{
		TopicPrefix:     "lectern.",
		CreateTopics:    true,
		Replicas:        1,
		Concurrency:     4,
		MaxMessageBytes: 960 << 10,
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
		return Options{}, fmt.Errorf("read options of the nats broker: %w", err)
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
	check(o.Token == "" || o.TokenFile == "", "token and token_file must not be given both")
	check(o.waysToLogIn() <= 1, "only one of login, token and credentials_file must be given")
	check(o.Replicas >= 1 && o.Replicas <= 5, "replicas must be 1 to 5")
	check(o.MaxLength >= 0, "max_length must be 0 or more")
	check(o.MaxBytes >= 0, "max_bytes must be 0 or more")
	check(o.MaxAge == 0 || o.MaxAge >= time.Second, "max_age must be 0s, or 1s or more")
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

// maxPayload is the most that a server can be configured to accept.
const maxPayload = 64 << 20

// checkAddresses does not repeat an address, which may hold a password.
func (o Options) checkAddresses() error {
	if len(o.Addresses) == 0 {
		return errors.New("addresses must name a server: host:port")
	}
	for _, address := range o.Addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" || strings.ContainsAny(address, "@/ ") {
			return errors.New("addresses must be host:port each, without a scheme; login and tls are options of their own")
		}
	}
	return nil
}

func (o Options) checkNames() error {
	var errs []error
	if o.TopicPrefix != "" && !isSubject(o.TopicPrefix+"topic") {
		errs = append(errs, errors.New("topic_prefix must have letters, digits and any of - _ . with something between the dots"))
	}
	for group, durable := range o.Groups {
		if !isDurable(durable) {
			errs = append(errs, fmt.Errorf("groups.%s must be a name of 1 to 100 letters, digits, and any of - _", group))
		}
	}
	return errors.Join(errs...)
}

func (o Options) waysToLogIn() int {
	ways := 0
	for _, given := range []bool{
		o.Login != (configs.Login{}), o.Token != "" || o.TokenFile != "", o.CredentialsFile != "",
	} {
		if given {
			ways++
		}
	}
	return ways
}

// retryDelay is the wait after the nth delivery.
func (o Options) retryDelay(deliveries int) time.Duration {
	delay := o.RetryDelay
	for ; deliveries > 1 && delay < o.RetryDelayMax; deliveries-- {
		delay *= 2
	}
	return min(delay, o.RetryDelayMax)
}

// givesUp tells whether a message nacked after its nth delivery is given up.
func (o Options) givesUp(deliveries int) bool {
	return o.MaxDeliveries > 0 && deliveries >= o.MaxDeliveries
}
