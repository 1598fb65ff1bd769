package memorycache

import (
	"errors"
	"fmt"

	"lectern/configs"
	"lectern/domain"
)

// Options configures a Cache; DecodeOptions names the defaults.
type Options struct {
	// MaxEntries is how many answers are kept at most; 1 or more, 10,000 by
	// default.
	MaxEntries int `koanf:"max_entries"`

	// MaxBytes is roughly how much memory they may take; 2 MiB or more, so
	// that the largest answer fits, 64 MiB by default.
	MaxBytes int `koanf:"max_bytes"`
}

const leastBytes = 2 * domain.MaxAnswerBytes

// DecodeOptions reads the section cache.options. Its error names every problem,
// and what is allowed.
func DecodeOptions(raw map[string]any) (Options, error) {
	opts := Options{MaxEntries: 10_000, MaxBytes: 64 << 20}
	err := configs.DecodeOptions(raw, &opts)
	if err == nil {
		err = opts.validate()
	}
	if err != nil {
		return Options{}, fmt.Errorf("read options of the memory cache: %w", err)
	}
	return opts, nil
}

func (o Options) validate() error {
	var errs []error
	if o.MaxEntries < 1 {
		errs = append(errs, errors.New("max_entries must be 1 or more"))
	}
	if o.MaxBytes < leastBytes {
		errs = append(errs, fmt.Errorf("max_bytes must be %d (2 MiB) or more", leastBytes))
	}
	return errors.Join(errs...)
}
