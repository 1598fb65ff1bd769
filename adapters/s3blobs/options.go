package s3blobs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lectern/configs"
	"lectern/ports"
)

// How the bucket is named in a request; see Options.AddressingStyle.
const (
	styleAuto    = "auto"
	stylePath    = "path"
	styleVirtual = "virtual"
)

// Options configures a Store; DecodeOptions names the defaults.
type Options struct {
	// Endpoint is where the server is: host or host:port. Required.
	Endpoint string `koanf:"endpoint"`

	// Bucket keeps the documents. Required.
	Bucket string `koanf:"bucket"`

	// Region is what requests are signed for; us-east-1 by default, which most
	// servers other than Amazon's take.
	Region string `koanf:"region"`

	// Prefix is the folder in the bucket: segments of letters, digits, '.', '_' and
	// '-' with slashes between. Empty, the default, for the bucket itself.
	Prefix string `koanf:"prefix"`

	// AddressingStyle says where the bucket's name stands: path (host/bucket),
	// virtual (bucket.host) or auto, the default: virtual for the endpoints of
	// Amazon and others that are known to want it, path for all else.
	AddressingStyle string `koanf:"addressing_style"`

	// Login's user is the access key, its password the secret key. Its files are read
	// for each request, so that keys may change.
	Login configs.Login `koanf:"login"`

	TLS configs.TLS `koanf:"tls"`

	// CreateBucket makes Prepare create a bucket that is missing; false by default.
	CreateBucket bool `koanf:"create_bucket"`

	// Timeout bounds all of a Put, Get or Delete; 100ms to 1h, 1m by default.
	Timeout time.Duration `koanf:"timeout"`
}

// DecodeOptions reads the section documents.options. Its error names every
// problem, and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{Region: "us-east-1", AddressingStyle: styleAuto, Timeout: time.Minute}
	err := configs.DecodeOptions(raw, &opts)
	if err == nil {
		err = opts.validate()
	}
	if err != nil {
		return Options{}, fmt.Errorf("read options of the documents' store s3: %w", err)
	}
	return opts, nil
}

// bucketName is what all S3 servers agree on.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (o Options) validate() error {
	errs := []error{o.Login.Validate(), o.TLS.Validate(), o.validateEndpoint()}
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	check(bucketName.MatchString(o.Bucket), "bucket must be given: 3 to 63 small letters, digits, '.' and '-', beginning and ending with a letter or digit")
	check(o.Region != "", "region must not be empty: us-east-1 where the server knows none")
	check(o.Prefix == "" || ports.CheckKey(o.Prefix) == nil,
		"prefix must be segments of letters, digits, '.', '_' and '-' with slashes between, and none at the ends")
	check(slices.Contains([]string{styleAuto, stylePath, styleVirtual}, o.AddressingStyle), "addressing_style must be auto, path or virtual")
	check(o.Login.User != "" || o.Login.UserFile != "", "login.user or login.user_file must be given: the access key")
	check(o.Login.Password != "" || o.Login.PasswordFile != "", "login.password or login.password_file must be given: the secret key")
	check(o.Timeout >= 100*time.Millisecond && o.Timeout <= time.Hour, "timeout must be 100ms to 1h")
	return errors.Join(errs...)
}

// validateEndpoint does not repeat the endpoint: there may be a password in it.
func (o Options) validateEndpoint() error {
	switch {
	case o.Endpoint == "":
		return errors.New("endpoint must be given, such as s3.example.com or 127.0.0.1:9000: it is where your documents are sent")
	case strings.ContainsAny(o.Endpoint, "/@?# "):
		return errors.New("endpoint must be host or host:port: whether it is https says tls.enabled, and the keys go into login")
	}
	return nil
}
