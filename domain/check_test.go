package domain_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// requireField refuses an error that the caller could not act on.
func requireField(t *testing.T, err error) {
	t.Helper()
	var refused *domain.Error
	require.ErrorAs(t, err, &refused)
	require.NotEmpty(t, refused.Field, "%v names no field", err)
	require.NotEmpty(t, refused.Message)
}

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + `{}` + strings.Repeat(`}`, depth-1)
}

func TestJSONThatTheDatabaseCanNotHoldIsRefused(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"nothing":                             ``,
		"null":                                `null`,
		"a list":                              `[]`,
		"cut off":                             `{`,
		"two objects":                         `{}{}`,
		"a NUL in a value":                    `{"a":"x\u0000"}`,
		"a NUL in a key":                      `{"\u0000":1}`,
		"a NUL behind an escaped backslash":   `{"a":"\\\u0000"}`,
		"a high surrogate alone":              `{"a":"\ud800"}`,
		"a high surrogate before a character": `{"a":"\ud800x"}`,
		"a high surrogate before an escape":   `{"a":"\ud800\u0061"}`,
		"a high surrogate before another":     `{"a":"\ud800\ud800"}`,
		"a low surrogate alone":               `{"a":"\udc00"}`,
		"bytes that are not UTF-8":            "{\"a\":\"\xff\"}",
		"a number larger than a double":       `{"a":1e309}`,
		"a number larger than numeric":        `{"a":1e400000}`,
		"a number smaller than numeric":       `{"a":-1e-400000}`,
		"a power past any integer":            `{"a":1e-99999999999999999999}`,
		"nought to a great power":             `{"a":0e20000}`,
		"a number of 401 digits":              `{"a":0.` + strings.Repeat("1", 399) + `}`,
		"nested 101 deep":                     nested(101),
		"nested 20,000 deep":                  nested(20000),
		"lists nested 101 deep":               `{"a":` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.CheckObject("data", json.RawMessage(data))
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "data"})
		})
	}
}

func TestJSONThatOnlyLooksBadIsTaken(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"blanks around":              " \t\r\n{} \n",
		"a backslash before u0000":   `{"a":"\\u0000"}`,
		"a pair of surrogates":       `{"a":"\ud83d\ude00"}`,
		"escapes of all kinds":       `{"\"\\\/\b\f\n\r\t\u00e4":"}{]["}`,
		"the largest double":         `{"a":1.7976931348623157e+308}`,
		"the smallest double":        `{"a":[-5E-324,0.5,-0]}`,
		"nested 100 deep":            nested(100),
		"wide, not deep":             `{"a":[` + strings.Repeat(`{},`, 500) + `{}]}`,
		"a key twice":                `{"a":1,"a":2}`,
		"braces and digits in a key": `{"{{[[1e999":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size, err := domain.CheckObject("data", json.RawMessage(data))
			require.NoError(t, err)
			require.GreaterOrEqual(t, size, len(data))
		})
	}
}

// Else 256 KiB of 1e300 would come out of the database as 15 MB, too large for
// any broker.
func TestNumbersCountWithAllTheirDigits(t *testing.T) {
	t.Parallel()
	data := `{"a":[` + strings.Repeat("1e300,", 1000) + `1]}`
	_, err := domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(data), domain.JobOptions{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonJobTooLarge, Field: "data"})
}

func TestWithinNamesThePlaceOfAField(t *testing.T) {
	t.Parallel()
	inner := domain.Invalid("data", "is bad")
	err := domain.Within("jobs[3]", inner)
	require.EqualError(t, err, "jobs[3].data: is bad")
	require.Equal(t, "data", inner.Field, "the error it was given is left alone")

	require.NoError(t, domain.Within("jobs[3]", nil))
	other := errors.New("other")
	require.Equal(t, other, domain.Within("jobs[3]", other))
	whole := domain.Errorf(domain.ReasonUnavailable, "no field")
	require.Equal(t, error(whole), domain.Within("jobs[3]", whole))
}
