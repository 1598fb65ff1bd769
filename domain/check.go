package domain

import (
	"bytes"
	"encoding/json"
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

func checkCreated(at time.Time) error {
	if at.IsZero() {
		return Invalid("created_at", "must be set")
	}
	return checkYear("created_at", &at)
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
		t := readToken(data[i:])
		if t.flaw != "" {
			return 0, Invalid(field, "%s", t.flaw)
		}
		if depth += t.nesting; depth > MaxJSONDepth {
			return 0, Invalid(field, "must not be nested more than %d deep", MaxJSONDepth)
		}
		size += t.power
		i += t.used
	}
	return size, nil
}

// token is a piece of JSON.
type token struct {
	used    int    // its bytes
	nesting int    // 1 for what opens an object or a list, -1 for what closes one
	power   int    // by how many digits its power of ten makes it longer
	flaw    string // what the database can't hold in it
}

// readToken reads the token that valid JSON begins with.
func readToken(data []byte) token {
	switch c := data[0]; {
	case c == '{' || c == '[':
		return token{used: 1, nesting: 1}
	case c == '}' || c == ']':
		return token{used: 1, nesting: -1}
	case c == '"':
		return readString(data)
	case c == '-' || '0' <= c && c <= '9':
		return readNumber(data)
	}
	return token{used: 1}
}

func readString(data []byte) token {
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
			return token{flaw: "must not contain a NUL character"}
		}
		if utf16.IsSurrogate(r) {
			if !bytes.HasPrefix(data[i:], []byte(`\u`)) || utf16.DecodeRune(r, escaped(data[i:])) == utf8.RuneError {
				return token{flaw: "must not contain half of a surrogate pair"}
			}
			i += 6
		}
	}
	return token{used: i + 1}
}

// escaped reads the number of an escape like \u00e4.
func escaped(data []byte) rune {
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0 // not in valid JSON
	}
	return rune(n)
}

func readNumber(data []byte) token {
	used, power := 0, 0
	for used < len(data) && strings.IndexByte("+-.0123456789eE", data[used]) >= 0 {
		used++
	}
	literal := string(data[:used])
	_, err := strconv.ParseFloat(literal, 64)
	if i := strings.IndexAny(literal, "eE"); err == nil && i >= 0 {
		power, err = strconv.Atoi(literal[i+1:])
		power = max(power, -power)
	}
	if err != nil || used > maxNumberBytes || power > maxNumberBytes {
		return token{flaw: "must not contain a number that is too long or too large for a double"}
	}
	return token{used: used, power: power}
}
