package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

// table inserts rows past every trigger and foreign key, as a superuser: what
// is left to refuse them are the columns and the check constraints.
type table struct{ conn *pgx.Conn }

func tableOf(t *testing.T) table {
	t.Helper()
	tb := guardedTableOf(t)
	_, err := tb.conn.Exec(t.Context(), `set session_replication_role = replica`)
	require.NoError(t, err)
	return tb
}

// guardedTableOf leaves the triggers in force, and takes entries without a course.
func guardedTableOf(t *testing.T) table {
	t.Helper()
	conn := connect(t, setup(t).db.Superuser)
	_, err := conn.Exec(t.Context(), `set search_path = lectern; alter table job_outbox drop constraint job_outbox_entity_id_fkey`)
	require.NoError(t, err)
	return table{conn}
}

// takes reports whether the table takes a row, which is not kept. Only a check
// may refuse it.
func (tb table) takes(ctx context.Context, t require.TestingT, insert string, args ...any) bool {
	return tb.allows(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insert, args...)
		return err
	})
}

// takesChanged is the same of a row that is changed after it was inserted.
func (tb table) takesChanged(ctx context.Context, t require.TestingT, insert string, args []any, update string, updateArgs ...any) bool {
	return tb.allows(ctx, t, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insert, args...); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, update, updateArgs...)
		require.LessOrEqual(t, tag.RowsAffected(), int64(1))
		return err
	})
}

func (tb table) allows(ctx context.Context, t require.TestingT, change func(pgx.Tx) error) bool {
	tx, err := tb.conn.Begin(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(ctx)) }()
	err = change(tx)
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		require.Equal(t, "23514", pg.Code, pg.Message)
		return false
	}
	require.NoError(t, err)
	return true
}

func (tb table) takesCourse(ctx context.Context, t require.TestingT, c domain.Course) bool {
	return tb.takes(ctx, t, `
		insert into courses (id, organization_id, user_id, title, slug, language, style, settings, generation_status, status_version, run, generation_metadata)
		values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10::bigint, $11::integer, $12::jsonb)`,
		c.ID, c.Owner.OrganizationID, c.Owner.UserID, c.Title, c.Slug, c.Language, string(c.Style), c.Settings,
		string(c.State), c.Version, c.Run, c.Metadata)
}

func (tb table) takesEntry(ctx context.Context, t require.TestingT, e domain.OutboxEntry) bool {
	return tb.takesChanged(ctx, t, `
		insert into job_outbox (outbox_id, seq, entity_id, run, queue_name, job_data, job_options, created_at)
		values ($1, $2::bigint, $3, $4::integer, $5, $6::jsonb, $7::jsonb, $8::timestamptz)`,
		[]any{e.ID, e.Seq, e.CourseID, e.Run, string(e.Queue), e.Data, e.Options, e.CreatedAt}, `
		update job_outbox set processed_at = $2::timestamptz, attempts = $3::integer, next_attempt_at = $4::timestamptz, dead_at = $5::timestamptz
		where outbox_id = $1`, e.ID, e.ProcessedAt, e.Attempts, e.NextAttemptAt, e.DeadAt)
}

func (tb table) takesEvent(ctx context.Context, t require.TestingT, e domain.Event) bool {
	return tb.takes(ctx, t, `
		insert into fsm_events (event_id, entity_id, event_no, event_type, event_data, created_at, created_by)
		values ($1, $2, $3::bigint, $4, $5::jsonb, $6::timestamptz, $7)`,
		e.ID, e.CourseID, e.No, string(e.Type), e.Data, e.CreatedAt, string(e.CreatedBy))
}

func anyCourse() domain.Course {
	id := uuid.New()
	return domain.Course{
		ID: id, Owner: domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()}, Title: "Bees", Slug: domain.Slug("Bees", id),
		Language: "en", Style: domain.StylePractical, Settings: domain.Settings{Pipeline: domain.PipelineManual},
		State: domain.StatePending, Run: 1, Metadata: json.RawMessage(`{}`),
	}
}

func anyEntry() domain.OutboxEntry {
	return domain.OutboxEntry{
		ID: uuid.New(), Seq: 1, CourseID: uuid.New(), Run: 1, Queue: domain.QueueSummarization,
		Data: json.RawMessage(`{}`), CreatedAt: year(2026),
	}
}

func anyEvent() domain.Event {
	return domain.Event{
		ID: uuid.New(), CourseID: uuid.New(), No: 1, Type: domain.EventJobCreated, Data: json.RawMessage(`{}`),
		CreatedAt: year(2026), CreatedBy: domain.ActorAPI,
	}
}

func year(y int) time.Time { return time.Date(y, 6, 1, 12, 0, 0, 0, time.UTC) }

// field is one field of a row, and how to give it values inside and outside of
// its rule.
type field[Row any] struct {
	name      string
	good, bad []func(*Row)
}

func values[Row, V any](name string, set func(*Row, V), good, bad []V) field[Row] {
	setters := func(values []V) []func(*Row) {
		made := make([]func(*Row), len(values))
		for i, v := range values {
			made[i] = func(row *Row) { set(row, v) }
		}
		return made
	}
	return field[Row]{name, setters(good), setters(bad)}
}

func uuids[Row any](name string, set func(*Row, uuid.UUID)) field[Row] {
	return values(name, set, []uuid.UUID{uuid.Max}, []uuid.UUID{uuid.Nil})
}

func objects[Row any](name string, set func(*Row, json.RawMessage)) field[Row] {
	return values(name, set, []json.RawMessage{[]byte(`{"a": [1]}`)},
		[]json.RawMessage{[]byte(`[]`), []byte(`null`), []byte(`1`), []byte(`"{}"`)})
}

func times[Row any](name string, set func(*Row, time.Time)) field[Row] {
	return values(name, set, []time.Time{year(1970), year(9999)}, []time.Time{year(1969), year(10000)})
}

func courseFields() []field[domain.Course] {
	type course = domain.Course
	return []field[course]{
		uuids("id", func(c *course, v uuid.UUID) { c.ID = v }),
		uuids("organization", func(c *course, v uuid.UUID) { c.Owner.OrganizationID = v }),
		uuids("user", func(c *course, v uuid.UUID) { c.Owner.UserID = v }),
		values("title", func(c *course, v string) { c.Title = v },
			[]string{"x", strings.Repeat("я", 1000), "a b", `"?!" 1`},
			[]string{"", strings.Repeat("я", 1001), " a", "a ", "a  b", "a\nb", "a\x01", "a\x7f", "a\u0085b", "a\u00a0b", "a\u2003b", "a\u2028b", "a\u3000b"}),
		values("slug", func(c *course, v string) { c.Slug = v },
			[]string{"x", "курс-1", strings.Repeat("s", 89)}, []string{"", strings.Repeat("s", 90), "a b", "a\tb", "a\u00a0b"}),
		values("language", func(c *course, v string) { c.Language = v },
			[]string{"en", "ast", "pt-br", "zh-hant-tw-x-12345678", "en" + strings.Repeat("-12345678", 3) + "-12345"},
			[]string{"", "e", "engl", "EN", "en-", "en--us", "en-123456789", "en_us", "e1", "en" + strings.Repeat("-12345678", 3) + "-123456"}),
		values("style", func(c *course, v domain.Style) { c.Style = v }, domain.Styles(), []domain.Style{"", "boring", "Academic"}),
		values("lessons", func(c *course, v int) { c.Settings.Lessons = v }, []int{0, 10, 99, 100, 199, 200}, []int{-1, 1, 9, 201, 1000}),
		values("pipeline", func(c *course, v domain.Pipeline) { c.Settings.Pipeline = v },
			[]domain.Pipeline{domain.PipelineAutomatic, domain.PipelineManual}, []domain.Pipeline{"", "magic"}),
		values("state", func(c *course, v domain.State) { c.State = v }, domain.States(), []domain.State{"", "stage_9"}),
		values("version", func(c *course, v int64) { c.Version = v }, []int64{0, math.MaxInt64}, []int64{-1}),
		values("run", func(c *course, v int) { c.Run = v }, []int{1, math.MaxInt32}, []int{0, -1}),
		objects("metadata", func(c *course, v json.RawMessage) { c.Metadata = v }),
	}
}

func entryFields() []field[domain.OutboxEntry] {
	type entry = domain.OutboxEntry
	return []field[entry]{
		uuids("id", func(e *entry, v uuid.UUID) { e.ID = v }),
		values("seq", func(e *entry, v int64) { e.Seq = v }, []int64{1, math.MaxInt64}, []int64{0, -1}),
		values("run", func(e *entry, v int) { e.Run = v }, []int{1, math.MaxInt32}, []int{0}),
		values("queue", func(e *entry, v domain.Queue) { e.Queue = v },
			[]domain.Queue{"q", domain.Queue(strings.Repeat("я", 100))}, []domain.Queue{"", domain.Queue(strings.Repeat("q", 101))}),
		objects("data", func(e *entry, v json.RawMessage) { e.Data = v }),
		values("max attempts", func(e *entry, v int) { e.Options.MaxAttempts = v }, []int{0, 1, 99, 100}, []int{-1, 101, 1000}),
		values("priority", func(e *entry, v int) { e.Options.Priority = v }, []int{0, 1, 8, 9}, []int{-1, 10}),
		values("attempt", func(e *entry, v int) { e.Options.Attempt = v }, []int{0, 1, 99, 100}, []int{-1, 101}),
		values("attempts", func(e *entry, v int) { e.Attempts = v }, []int{0, 1, math.MaxInt32}, []int{-1}),
		times("created", func(e *entry, at time.Time) { e.CreatedAt = at }),
		times("processed", func(e *entry, at time.Time) { e.ProcessedAt = &at }),
		times("dead", func(e *entry, at time.Time) { e.DeadAt = &at }),
		times("next attempt", func(e *entry, at time.Time) { e.NextAttemptAt = &at }),
	}
}

func eventFields() []field[domain.Event] {
	type event = domain.Event
	return []field[event]{
		uuids("id", func(e *event, v uuid.UUID) { e.ID = v }),
		values("no", func(e *event, v int64) { e.No = v }, []int64{1, math.MaxInt64}, []int64{0}),
		values("type", func(e *event, v domain.EventType) { e.Type = v }, domain.EventTypes(), []domain.EventType{"", "job_created"}),
		objects("data", func(e *event, v json.RawMessage) { e.Data = v }),
		times("created", func(e *event, at time.Time) { e.CreatedAt = at }),
		values("actor", func(e *event, v domain.Actor) { e.CreatedBy = v }, domain.Actors(), []domain.Actor{"", "api", "USER"}),
	}
}

// checkAgreement holds the domain's rules against the table's, first a value at
// a time, each on its boundary, then in mixtures.
func checkAgreement[Row any](
	t *testing.T, fields []field[Row], fresh func() Row, validate func(Row) error, takes func(context.Context, require.TestingT, Row) bool,
) {
	t.Helper()
	require.NoError(t, validate(fresh()))
	require.True(t, takes(t.Context(), t, fresh()))
	for _, f := range fields {
		t.Run(f.name, func(t *testing.T) {
			for _, set := range f.good {
				row := fresh()
				set(&row)
				require.NoError(t, validate(row))
				require.True(t, takes(t.Context(), t, row), "the table refuses %+v", row)
			}
			for _, set := range f.bad {
				row := fresh()
				set(&row)
				require.ErrorIs(t, validate(row), &domain.Error{Reason: domain.ReasonInvalidField})
				require.False(t, takes(t.Context(), t, row), "the table takes %+v", row)
			}
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		row := fresh()
		for _, f := range rapid.SliceOfN(rapid.SampledFrom(fields), 1, 4).Draw(rt, "fields") {
			setters := f.good
			if rapid.IntRange(0, 4).Draw(rt, "bad") == 0 {
				setters = f.bad
			}
			setters[rapid.IntRange(0, len(setters)-1).Draw(rt, f.name)](&row)
		}
		require.Equal(rt, validate(row) == nil, takes(t.Context(), rt, row), "%+v", row)
	})
}

func TestDomainAndTableAgreeOnCourses(t *testing.T) {
	t.Parallel()
	checkAgreement(t, courseFields(), anyCourse, domain.Course.Validate, tableOf(t).takesCourse)
}

func TestDomainAndTableAgreeOnEntries(t *testing.T) {
	t.Parallel()
	checkAgreement(t, entryFields(), anyEntry, domain.OutboxEntry.Validate, guardedTableOf(t).takesEntry)
}

func TestDomainAndTableAgreeOnEvents(t *testing.T) {
	t.Parallel()
	checkAgreement(t, eventFields(), anyEvent, domain.Event.Validate, tableOf(t).takesEvent)
}

// An entry whose options the relay could not decode would stop it for all.
func TestDomainAndTableAgreeOnOptionsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	tb := tableOf(t)
	for _, options := range []string{
		`{}`, `{"max_attempts": 5}`, `{"max_attempts": "5"}`, `{"max_attempts": 5.5}`, `{"max_attempts": true}`, `{"max_attempts": 1e1}`,
		`{"max_attempts": 1e2}`, `{"attempt": 100}`, `{"attempt": []}`, `{"attempt": 101}`, `{"other": "x"}`,
		`{"priority": 0}`, `{"priority": 9}`, `{"priority": 1e1}`, `{"priority": "9"}`, `{"priority": 5.5}`, `{"priority": -0}`,
		`{"not_before": "2026-11-24T12:00:00Z"}`, `{"not_before": "2026-11-24T12:00:00.123456789+05:30"}`,
		`{"not_before": "2024-02-29T23:59:59-14:00"}`, `{"not_before": "tomorrow"}`, `{"not_before": 7}`, `{"not_before": ""}`,
		`{"not_before": "2026-11-24"}`, `{"not_before": "2026-11-24 12:00:00Z"}`, `{"not_before": "2026-11-24T12:00:00"}`,
		`{"not_before": "2026-13-01T12:00:00Z"}`, `{"not_before": "2026-00-01T12:00:00Z"}`, `{"not_before": "2026-01-32T12:00:00Z"}`,
		`{"not_before": "2026-01-01T24:00:00Z"}`, `{"not_before": "2026-01-01T12:60:00Z"}`, `{"not_before": "2026-01-01T12:00:60Z"}`,
		`{"not_before": "1969-12-31T23:59:59Z"}`, `{"not_before": "1970-01-01T00:00:00Z"}`, `{"not_before": "9999-12-31T23:59:59Z"}`,
		`{"not_before": "infinity"}`,
	} {
		var decoded domain.JobOptions
		// Go takes 1e1 for no whole number; the column writes it as 10.
		var column string
		require.NoError(t, tb.conn.QueryRow(t.Context(), `select $1::jsonb::text`, options).Scan(&column))
		err := json.Unmarshal([]byte(column), &decoded)
		if err == nil {
			err = decoded.Validate()
		}
		require.Equal(t, err == nil, tb.takes(t.Context(), t, `
			insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options)
			values (gen_random_uuid(), gen_random_uuid(), 1, 'summarization', '{}', $1)`, options), "%s: %v", options, err)
	}
	// A day that its month lacks is refused as a date, not as a rule.
	_, err := tb.conn.Exec(t.Context(), `
		insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data, job_options)
		values (gen_random_uuid(), gen_random_uuid(), 1, 'summarization', '{}', '{"not_before": "2026-02-29T12:00:00Z"}')`)
	requireCode(t, "22008", err)
}

func TestOnlyAPendingEntryWaitsAndForADateItHas(t *testing.T) {
	t.Parallel()
	tb := guardedTableOf(t)
	for columns, want := range map[string]bool{
		`null, null, null, null`:            true,
		`'delay', now(), null, null`:        true,
		`'backoff', now(), null, null`:      true,
		`'blocked', null, null, null`:       true,
		`'delay', null, null, null`:         false,
		`'backoff', null, null, null`:       false,
		`'blocked', null, now(), null`:      false,
		`'backoff', now(), null, now()`:     false,
		`'siesta', now(), null, null`:       false,
		`null, null, now(), now()`:          false,
		`null, 'infinity', null, null`:      false,
		`null, null, 'infinity', null`:      false,
		`null, null, null, '-infinity'`:     false,
		`'backoff', 'infinity', null, null`: false,
	} {
		require.Equal(t, want, tb.takesChanged(t.Context(), t, `
			insert into job_outbox (outbox_id, entity_id, run, queue_name, job_data)
			values (gen_random_uuid(), gen_random_uuid(), 1, 'summarization', '{}')`, nil, `
			update job_outbox set (parked, next_attempt_at, processed_at, dead_at) = (`+columns+`)`), columns)
	}
}

func TestDomainAndTableAgreeOnKeysFingerprintsAndFileNames(t *testing.T) {
	t.Parallel()
	tb := tableOf(t)
	key := func(key, print string) bool {
		return tb.takes(t.Context(), t, `insert into idempotency_keys (organization_id, key, fingerprint, expires_at)
			values (gen_random_uuid(), $1, $2, now() + interval '1 day')`, key, print)
	}
	fingerprint := strings.Repeat("0", 64)
	for _, s := range []string{"", "1234567", "12345678", strings.Repeat("ё", 255), strings.Repeat("ё", 256)} {
		_, err := domain.NewIdempotencyKey(s)
		require.Equal(t, err == nil, key(s, fingerprint), "%q", s)
	}
	for _, s := range []string{fingerprint, strings.Repeat("f", 64), "", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("F", 64), strings.Repeat("g", 64)} {
		_, err := domain.ParseFingerprint(s)
		require.Equal(t, err == nil, key("12345678", s), "%q", s)
	}
	for _, s := range []string{"a.pdf", "план.docx", strings.Repeat("x", 255), "", strings.Repeat("x", 256), ".", "..", "...", "a/b", `a\b`, "a\nb", "a\u0085"} {
		clean, err := domain.CleanFileName(s)
		require.Equal(t, err == nil && clean == s, tb.takes(t.Context(), t, `
			insert into documents (document_id, entity_id, organization_id, name, format, size_bytes, sha256, blob_key)
			values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 'md', 1, $2, 'k')`, s, fingerprint), "%q", s)
	}
}

func TestARowThatBreaksARuleIsRefusedByNameAndAsNobodysFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))
	conn := connect(t, b.db.Superuser)
	broken := func(statement string) {
		_, err := conn.Exec(t.Context(), `set session_replication_role = replica; set search_path = lectern; `+statement)
		require.NoError(t, err)
	}
	refused := func(err error, field string) {
		t.Helper()
		require.ErrorContains(t, err, field+": ")
		require.Empty(t, domain.ReasonOf(err), "the caller did nothing wrong")
	}

	broken(`alter domain event_type drop constraint event_type_check; update fsm_events set event_type = 'COFFEE'`)
	_, err := b.courses.Events(t.Context(), b.caller, c.ID, 0, 10)
	refused(err, "event_type")

	broken(`alter domain queue drop constraint queue_check; update job_outbox set queue_name = ''`)
	_, err = b.courses.Entries(t.Context(), b.caller, c.ID)
	refused(err, "queue_name")
	claimed, err := b.outbox.Claim(t.Context(), b.lease, 10)
	require.NoError(t, err, "the relay goes on")
	require.Len(t, claimed.Entries, 1)

	broken(`alter domain course_style drop constraint course_style_check; update courses set style = 'boring'`)
	_, err = b.courses.Get(t.Context(), b.caller, c.ID)
	refused(err, "style")

	broken(`update idempotency_keys set result = jsonb_set(result, '{fsmState,state}', '"stage_9"'), key = 'key-number-1'`)
	_, err = b.commands.InitializeFSM(t.Context(), b.command(t, c, "key-number-1", domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID)))
	refused(err, "fsmState.state")
}

// A broker's or a document's error may say anything; that it could not be
// written down would hold up the relay, or the course, for ever.
func TestFailuresAreRecordedWhateverTheirText(t *testing.T) {
	t.Parallel()
	text := "a\x00b\xff" + strings.Repeat("я", 5000)
	want := "a\uFFFDb\uFFFD" + strings.Repeat("я", 1996)
	b := setup(t)
	c := b.course(t)
	entries := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID), job(t, domain.QueueStructureAnalysis, c.ID))
	require.NoError(t, b.outbox.Settle(t.Context(), b.lease, domain.Settlement{
		Retry: []domain.FailedEntry{{Entry: entries[0], Reason: text}}, Dead: []domain.FailedEntry{{Entry: entries[1], Reason: text}},
	}))
	stored, err := b.courses.Entries(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	require.Equal(t, []string{want, want}, []string{stored[0].LastError, stored[1].LastError})

	c = b.course(t)
	e := b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	doc := b.document(t, b.course(t), "a.md")
	b.begin(t, e)
	b.advance(t, domain.Step{Job: delivery(e), Fail: text, Documents: []domain.DocumentResult{{ID: doc.ID, Status: domain.DocumentFailed, Error: text}}})
	require.Equal(t, domain.StateFailed, b.reload(t, c).State)
	require.JSONEq(t, `{"failure": "`+want+`"}`, string(b.reload(t, c).Metadata))

	c = b.course(t)
	e = b.start(t, c, domain.StateStage4Init, job(t, domain.QueueStructureAnalysis, c.ID))[0]
	b.begin(t, e)
	b.advance(t, domain.Step{Job: delivery(e), Retry: &domain.Retry{
		Job: job(t, domain.QueueStructureAnalysis, c.ID), NotBefore: time.Now(), Reason: text,
	}})
	require.Equal(t, domain.StateStage4Analyzing, b.reload(t, c).State)
}
