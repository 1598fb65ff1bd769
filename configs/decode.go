package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/google/uuid"
	"github.com/knadh/koanf/v2"
)

// decode fills the config with what was gathered. A value that does not fit
// is a problem of its key, and leaves the default.
func (l *loader) decode(config *Config) {
	err := l.merged.UnmarshalWithConf("", config, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		DecodeHook:  exactly,
		ErrorUnused: true, // a second look: addFile has refused what it should find
		MatchName:   func(key, field string) bool { return key == field },
	}})
	l.decodeProblems(err)
}

// decodeProblems takes apart what was joined.
func (l *loader) decodeProblems(err error) {
	var many interface{ Unwrap() []error }
	var one *mapstructure.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &many):
		for _, err := range many.Unwrap() {
			l.decodeProblems(err)
		}
	case !errors.As(err, &one):
		l.problems = append(l.problems, err)
	default:
		l.decodeProblem(numbered(one.Name()), one.Unwrap())
	}
}

func (l *loader) decodeProblem(key string, err error) {
	if l.known.isSection(key) || isOptions(key) {
		err = errors.New("must hold keys, not a value")
	}
	l.problem(key, "%w", err)
}

// numbered writes list[0].key as list.0.key.
func numbered(name string) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(name)
}

// exactly turns a value into what a field holds, and refuses all that would
// silently become something else. Variables and flags come as text.
func exactly(from, to reflect.Value) (any, error) {
	given, _ := from.Interface().(string)
	switch to.Interface().(type) {
	case time.Duration:
		return duration(given)
	case uuid.UUID:
		return id(given)
	case slog.Level:
		return level(given)
	}
	return ofKind(from, to)
}

// ofKind is exactly for what is no type of its own.
func ofKind(from, to reflect.Value) (any, error) {
	given, isText := from.Interface().(string)
	switch kind := to.Kind(); {
	case (kind == reflect.Struct || kind == reflect.Map) && from.Kind() != reflect.Map:
		return nil, noSection(to.Type())
	case kind >= reflect.Int && kind <= reflect.Int64:
		return whole(from, to)
	case kind == reflect.Float64:
		return number(from)
	case kind == reflect.Bool:
		return boolean(from)
	case kind == reflect.Slice && isText:
		return list(given), nil
	case kind == reflect.String && !isText:
		return nil, notText(from, to)
	}
	return from.Interface(), nil
}

// noSection shows nothing of what was given: it may be a secret.
func noSection(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return errors.New("must be a section, not a single value")
	}
	return fmt.Errorf("must be a section with any of %s, not a single value", strings.Join(tags(t), ", "))
}

// tags are the keys of a section.
func tags(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		keys = append(keys, field.Tag.Get("koanf"))
	}
	return keys
}

// notText shows what was given, unless it is a secret.
func notText(from, to reflect.Value) error {
	if to.Type() == reflect.TypeFor[Secret]() {
		return errors.New("must be text: put it in quotes")
	}
	return fmt.Errorf("must be text, not %v: put it in quotes", from)
}

// list takes apart what a variable says in one line, by its commas.
func list(given string) []string {
	items := strings.Split(given, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

func duration(given string) (any, error) {
	d, err := time.ParseDuration(given)
	if err != nil {
		return nil, errors.New("must be a time with its unit, such as 500ms, 30s or 5m")
	}
	return d, nil
}

func id(given string) (any, error) {
	parsed, err := uuid.Parse(given)
	if err != nil {
		return nil, fmt.Errorf("must be a UUID, not %q", given)
	}
	return parsed, nil
}

func level(given string) (any, error) {
	switch given {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return nil, fmt.Errorf("%q is not one of debug, info, warn, error", given)
}

func whole(from, to reflect.Value) (any, error) {
	n, err := strconv.ParseInt(fmt.Sprint(from), 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("must be a whole number, not %v", from)
	case to.OverflowInt(n):
		return nil, fmt.Errorf("must be a whole number of %d bits, not %v", to.Type().Bits(), from)
	}
	return n, nil
}

func number(from reflect.Value) (any, error) {
	n, err := strconv.ParseFloat(fmt.Sprint(from), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, fmt.Errorf("must be a number such as 2.5, not %v", from)
	}
	return n, nil
}

func boolean(from reflect.Value) (any, error) {
	switch text := fmt.Sprint(from); text {
	case "true", "false":
		return text == "true", nil
	default:
		return nil, fmt.Errorf("must be true or false, not %s", text)
	}
}
