package postgres_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

func TestWhatTheDomainTakesTheDatabaseCanHold(t *testing.T) {
	t.Parallel()
	conn := connect(t, setup(t).db.Superuser)
	rapid.Check(t, func(rt *rapid.T) {
		data := json.RawMessage(drawJSON(rt))
		size, err := domain.CheckObject("data", data)
		if err != nil {
			return
		}
		var stored string
		require.NoError(rt, conn.QueryRow(t.Context(), `select $1::jsonb::text`, string(data)).Scan(&stored), "%s", data)
		var compact bytes.Buffer
		require.NoError(rt, json.Compact(&compact, []byte(stored)))
		require.LessOrEqual(rt, compact.Len(), size, "%s became %s", data, stored)
	})
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "text")
		var taken []string
		if key, err := domain.NewIdempotencyKey(s); err == nil {
			taken = append(taken, string(key))
		}
		if name, err := domain.CleanFileName(s); err == nil {
			taken = append(taken, name)
		}
		if change, err := domain.NewChangeStateCommand("P", domain.ChangeStateCommand{
			CourseID: uuid.New(), Caller: domain.Identity{OrganizationID: uuid.New()}, Key: "12345678",
			InitiatedBy: domain.ActorAPI, State: domain.StateCancelled, Reason: s,
		}); err == nil {
			taken = append(taken, change.Reason)
		}
		for _, text := range taken {
			var back string
			require.NoError(rt, conn.QueryRow(t.Context(), `select to_jsonb($1::text)#>>'{}'`, text).Scan(&back), "%q", text)
			require.Equal(rt, text, back)
		}
	})
}

// drawJSON draws an object with all that may be wrong with one.
func drawJSON(t *rapid.T) string {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{`\u0000`, `\ud800`, `\udc00`, `\ud83d\ude00`, `\\u0000`, `\n`, `\"`, "ё", "\x7f", "", "<&>"}),
		rapid.StringMatching(`[a-zа-я0-9 ]{0,8}`),
	)
	number := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%d.%de%d", rapid.IntRange(-9, 9).Draw(t, "whole"), rapid.IntRange(0, 99).Draw(t, "part"),
			rapid.OneOf(rapid.IntRange(-30, 30), rapid.IntRange(-20000, 140000)).Draw(t, "power"))
	})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		leaf := rapid.OneOf(number, rapid.Map(text, func(s string) string { return `"` + s + `"` }), rapid.SampledFrom([]string{"true", "null", "0", "-0", "1E400"}))
		if depth == 0 {
			return leaf
		}
		inner := rapid.SliceOfN(value(depth-1), 0, 3)
		return rapid.OneOf(leaf,
			rapid.Map(inner, func(items []string) string { return "[" + strings.Join(items, ",") + "]" }),
			rapid.Map(inner, func(items []string) string { return `{"k":[` + strings.Join(items, " , ") + `]}` }))
	}
	return `{"` + text.Draw(t, "key") + `":` + value(3).Draw(t, "value") + `}`
}

// Each rule stands for something that the database does refuse.
func TestWhatTheDomainRefusesTheDatabaseCanNotHold(t *testing.T) {
	t.Parallel()
	conn := connect(t, setup(t).db.Superuser)
	for data, code := range map[string]string{
		`{"a":"\u0000"}`:               "22P05",
		`{"\u0000":1}`:                 "22P05",
		`{"a":"\ud800"}`:               "22P02",
		`{"a":"\udc00"}`:               "22P02",
		`{"a":"\ud800\u0061"}`:         "22P02",
		"{\"a\":\"\xff\"}":             "22021",
		`{"a":1e400000}`:               "22003",
		`{"a":1e-20000}`:               "22003",
		`{"a":1e99999999999999999999}`: "22003",
		`{"a":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`: "54001",
	} {
		_, err := domain.CheckObject("data", json.RawMessage(data))
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "data"})
		_, err = conn.Exec(t.Context(), `select $1::text::jsonb`, data)
		requireCode(t, code, err)
	}
}
