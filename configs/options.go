package configs

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
)

// DecodeOptions fills an adapter's options from its section of the config, as
// strictly as the config itself is read. options points to a struct that holds
// the defaults and names its fields by the tag koanf; a field that is a struct is
// a section of its own. The error names every unknown key, with those that are
// allowed, and every value that does not fit.
func DecodeOptions(section map[string]any, options any) error {
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     options,
		TagName:    "koanf",
		DecodeHook: exactly,
		MatchName:  func(key, field string) bool { return key == field },
	})
	if err != nil {
		return fmt.Errorf("decode options: %w", err)
	}
	problems := misfits(decoder.Decode(section))
	problems = append(problems, strangers("", section, reflect.TypeOf(options).Elem())...)
	return errors.Join(problems...)
}

// strangers finds what a section holds and a struct has no field for.
func strangers(name string, section map[string]any, t reflect.Type) []error {
	var problems []error
	allowed := tags(t)
	for field := range t.Fields() {
		key := field.Tag.Get("koanf")
		if inner, nested := section[key].(map[string]any); nested && field.Type.Kind() == reflect.Struct {
			problems = append(problems, strangers(join(name, key), inner, field.Type)...)
		}
	}
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(section)), func(key string) bool { return slices.Contains(allowed, key) })
	if len(unknown) > 0 {
		for i, key := range unknown {
			unknown[i] = join(name, key)
		}
		problems = append(problems, fmt.Errorf("unknown: %s; allowed: %s", strings.Join(unknown, ", "), strings.Join(allowed, ", ")))
	}
	return problems
}

// misfits takes apart what was joined.
func misfits(err error) []error {
	var many interface{ Unwrap() []error }
	var one *mapstructure.DecodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		var all []error
		for _, err := range many.Unwrap() {
			all = append(all, misfits(err)...)
		}
		return all
	case errors.As(err, &one):
		return []error{fmt.Errorf("%s: %w", one.Name(), one.Unwrap())}
	}
	return []error{err}
}
