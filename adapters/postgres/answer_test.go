package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/domain"
)

// written is an answer as the database writes it.
const written = `{"fsmState": {"state": "stage_2_init", "version": 12, "entity_id": "01983000-0000-7000-8000-000000000001", ` +
	`"created_at": "2026-11-25T19:59:08.224192+00:00", "created_by": "API"}, "fromCache": false, "keptUntil": "2026-11-26T19:59:08+05:30", ` +
	`"outboxEntries": [{"outbox_id": "01983000-0000-7000-9000-000000000001", "created_at": "2026-11-25T19:59:08.22+00:00", "queue_name": "summarization"}, ` +
	`{"outbox_id": "01983000-0000-7000-9000-000000000002", "created_at": "2026-11-25T19:59:08+00:00", "queue_name": "структура"}]}`

func TestAnswerIsReadAsEncodingJSONReadsIt(t *testing.T) {
	t.Parallel()
	before, after, _ := strings.Cut(written, `[`)
	for text, fast := range map[string]bool{
		written:        true,
		before + `[]}`: true,
		strings.Replace(written, "false", "true", 1):               true,
		strings.ReplaceAll(written, `": `, `":`):                   false, // another's blanks
		strings.Replace(written, `{"fsm`, `{"more": 1, "fsm`, 1):   false, // a field of a later version
		strings.Replace(written, "summarization", `a\"b\u00e9`, 1): false,
		strings.Replace(written, "+00:00", "Z", 1):                 true,
		strings.Replace(written, `12,`, `-1,`, 1):                  true,
		before + `[` + strings.Replace(after, `}, {`, `},  {`, 1):  false,
		strings.Replace(written, `"version": 12, `, ``, 1):         false,
		strings.Replace(written, `, "fromCache": false`, ``, 1):    false,
	} {
		var want struct {
			domain.InitializeFSMResult
			KeptUntil time.Time
		}
		require.NoError(t, json.Unmarshal([]byte(text), &want), text)
		got, until, err := postgres.DecodeAnswer([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want.InitializeFSMResult, got, text)
		require.True(t, want.KeptUntil.Equal(until), text)
		require.Equal(t, fast, postgres.ScansAnswer([]byte(text)), text)
	}
}

// What the database cuts off or garbles is an error, wherever it ends.
func TestPartOfAnAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for n := range written {
		_, _, err := postgres.DecodeAnswer([]byte(written[:n]))
		require.Error(t, err, written[:n])
	}
	for from, to := range map[string]string{
		`"01983000-0000-7000-8000-000000000001"`: `"01983000"`, `12,`: `1.5,`, `false`: `0`, `2026-11-25T19:59:08.224192`: `yesterday`,
	} {
		_, _, err := postgres.DecodeAnswer([]byte(strings.Replace(written, from, to, 1)))
		require.Error(t, err, to)
	}
	_, _, err := postgres.DecodeAnswer([]byte(written + "]"))
	require.Error(t, err)
}

func TestTheDatabasesOwnAnswerNeedsNoEncodingJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	answers := list(t, connect(t, b.db.Superuser), `select result::text from lectern.idempotency_keys where entity_id = $1 and result ? 'fsmState'`, c.ID)
	require.Len(t, answers, 1)
	require.True(t, postgres.ScansAnswer([]byte(answers[0])), answers[0])
}
