package domain

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of the JSON that a caller may give. Nothing in use comes near them;
// what goes past them, the database or some reader of the JSON can't hold.
const (
	MaxJSONDepth   = 100 // objects and lists inside one another
	maxNumberBytes = 400 // of a number as it is written, and its power of ten
)

// Each check returns nil, or the INVALID_FIELD error of the field.

func checkID(field string, id uuid.UUID) error {
	if id == uuid.Nil {
		return Invalid(field, "must not be empty")
	}
	return nil
}

func checkLeast[N ~int | ~int64](field string, n, least N) error {
	if n < least {
		return Invalid(field, "must be at least %d, is %d", least, n)
	}
	return nil
}

func checkBetween(field string, n, low, high int) error {
	if n < low || n > high {
		return Invalid(field, "must be %d to %d, is %d", low, high, n)
	}
	return nil
}

func checkOneOf[T ~string](field string, value T, all []T) error {
	if !slices.Contains(all, value) {
		return Invalid(field, "%q is not one of %v", value, all)
	}
	return nil
}

// checkText counts characters. A NUL is refused: the database's text has none.
func checkText(field, s string, low, high int) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return Invalid(field, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		return Invalid(field, "must not contain a NUL character")
	case n < low || n > high:
		return Invalid(field, "must have %d to %d characters, has %d", low, high, n)
	}
	return nil
}

func checkTime(field string, t time.Time) error {
	if t.IsZero() {
		return Invalid(field, "must be set")
	}
	return checkYear(field, &t)
}

// checkYear refuses a time that not every format and system can write down.
func checkYear(field string, t *time.Time) error {
	if t == nil {
		return nil
	}
	if year := t.Year(); year < 1970 || year > 9999 {
		return Invalid(field, "must be in the years 1970 to 9999, is in %d", year)
	}
	if _, err := t.MarshalJSON(); err != nil {
		return Invalid(field, "must have a time zone of less than 24 hours")
	}
	return nil
}

// checkStored looks at the shape alone: of JSON that was stored, the rest was
// checked before.
func checkStored(field string, data json.RawMessage) error {
	if !isObject(data) {
		return Invalid(field, "must be a JSON object")
	}
	return nil
}

func isObject(data json.RawMessage) bool {
	return json.Valid(data) && utf8.Valid(data) && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

// CheckObject refuses data that is not a JSON object, or that a jsonb column
// can't hold, and returns its size in bytes with every number written out, as
// the column gives it back: 1e300 has 4 bytes, and comes back with 301.
func CheckObject(field string, data json.RawMessage) (int, error) {
	if !isObject(data) {
		return 0, Invalid(field, "must be a JSON object, in UTF-8")
	}
	size, depth := len(data), 0
	for i := 0; i < len(data); {
		used, flaw := 1, ""
		switch c := data[i]; {
		case c == '{' || c == '[':
			if depth++; depth > MaxJSONDepth {
				return 0, Invalid(field, "must not be nested more than %d deep", MaxJSONDepth)
			}
		case c == '}' || c == ']':
			depth--
		case c == '"':
			used, flaw = readString(data[i:])
		case c == '-' || '0' <= c && c <= '9':
			var power int
			used, power, flaw = readNumber(data[i:])
			size += power
		}
		if flaw != "" {
			return 0, Invalid(field, "%s", flaw)
		}
		i += used
	}
	return size, nil
}

// readString measures the string that valid JSON begins with, and says what
// the database can't hold in it.
func readString(data []byte) (used int, flaw string) {
	i := 1
	for data[i] != '"' {
		if data[i] != '\\' {
			i++
			continue
		}
		if data[i+1] != 'u' {
			i += 2
			continue
		}
		r := escaped(data[i:])
		if i += 6; r == 0 {
			return 0, "must not contain a NUL character"
		}
		if utf16.IsSurrogate(r) {
			if !bytes.HasPrefix(data[i:], []byte(`\u`)) || utf16.DecodeRune(r, escaped(data[i:])) == utf8.RuneError {
				return 0, "must not contain half of a surrogate pair"
			}
			i += 6
		}
	}
	return i + 1, ""
}

// escaped reads the number of an escape like \u00e4.
func escaped(data []byte) rune {
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0 // not in valid JSON
	}
	return rune(n)
}

// readNumber measures the number that JSON begins with, returns by how many
// digits its power of ten makes it longer, and says whether nobody can hold it.
func readNumber(data []byte) (used, power int, flaw string) {
	for used < len(data) && strings.IndexByte("+-.0123456789eE", data[used]) >= 0 {
		used++
	}
	literal := string(data[:used])
	value, err := strconv.ParseFloat(literal, 64)
	if i := strings.IndexAny(literal, "eE"); err == nil && i >= 0 {
		power, err = strconv.Atoi(literal[i+1:])
		power = max(power, -power)
	}
	if err != nil || used > maxNumberBytes || power > maxNumberBytes || math.IsInf(value, 0) {
		return 0, 0, "must not contain a number that is too long or too large for a double"
	}
	return used, power, ""
}
