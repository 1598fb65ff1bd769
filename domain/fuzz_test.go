package domain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// Every target holds the same: what is refused names its field; what is
// accepted keeps the rules, and is the same after a way through JSON.

// fuzzStored fuzzes a type that is read from JSON, by its constructor.
func fuzzStored[T any](f *testing.F, construct func(T) (T, error), holds func(*testing.T, T), seeds ...any) {
	f.Helper()
	for _, seed := range seeds {
		b, err := json.Marshal(seed)
		require.NoError(f, err)
		f.Add(b)
		f.Add(bytes.ReplaceAll(b, []byte(`1`), []byte(`0`)))
		f.Add(bytes.ReplaceAll(b, []byte(`2026`), []byte(`12026`)))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var decoded T
		if json.Unmarshal(data, &decoded) != nil {
			return
		}
		made, err := construct(decoded)
		if err != nil {
			requireField(t, err)
			return
		}
		holds(t, made)
		first, err := json.Marshal(made)
		require.NoError(t, err)
		var again T
		require.NoError(t, json.Unmarshal(first, &again))
		again, err = construct(again)
		require.NoError(t, err, "%s", first)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
	})
}

func requireObject(t *testing.T, data json.RawMessage) {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal(data, &object))
	require.NotNil(t, object)
}

func FuzzOutboxEntry(f *testing.F) {
	at := noon()
	full := storedEntry()
	full.ProcessedAt, full.NextAttemptAt, full.LastError = &at, &at, "no broker"
	full.Options = domain.JobOptions{NotBefore: &at, MaxAttempts: 5, Priority: 9, Attempt: 1}
	fuzzStored(f, domain.NewOutboxEntry, func(t *testing.T, e domain.OutboxEntry) {
		t.Helper()
		queue := utf8.RuneCountInString(string(e.Queue))
		require.True(t, e.ID != uuid.Nil && e.CourseID != uuid.Nil && e.Seq >= 1 && e.Run >= 1 && e.Attempts >= 0)
		require.True(t, queue >= 1 && queue <= 100 && !strings.Contains(string(e.Queue), "\x00"), "%q", e.Queue)
		require.True(t, e.ProcessedAt == nil || e.DeadAt == nil)
		require.True(t, e.Options.MaxAttempts >= 0 && e.Options.MaxAttempts <= 100 && e.Options.Attempt >= 0 && e.Options.Attempt <= 100)
		require.True(t, e.Options.Priority >= 0 && e.Options.Priority <= 9)
		requireObject(t, e.Data)
	}, storedEntry(), full)
}

func FuzzEvent(f *testing.F) {
	user := uuid.New()
	full := storedEvent()
	full.UserID, full.Data = &user, json.RawMessage(`{"from":"pending","to":"stage_2_init","version":1}`)
	fuzzStored(f, domain.NewEvent, func(t *testing.T, e domain.Event) {
		t.Helper()
		require.True(t, e.ID != uuid.Nil && e.CourseID != uuid.Nil && e.No >= 1 && !e.CreatedAt.IsZero())
		require.Contains(t, domain.EventTypes(), e.Type)
		require.Contains(t, domain.Actors(), e.CreatedBy)
		requireObject(t, e.Data)
	}, storedEvent(), full)
}

func FuzzInitializeFSMResult(f *testing.F) {
	replay := storedResult()
	replay.FromCache, replay.OutboxEntries = true, nil
	fuzzStored(f, domain.NewInitializeFSMResult, func(t *testing.T, r domain.InitializeFSMResult) {
		t.Helper()
		require.True(t, r.FSMState.CourseID != uuid.Nil && r.FSMState.Version >= 1 && !r.FSMState.CreatedAt.IsZero())
		require.Contains(t, domain.States(), r.FSMState.State)
		require.Contains(t, domain.Actors(), r.FSMState.CreatedBy)
		for _, e := range r.OutboxEntries {
			require.True(t, e.ID != uuid.Nil && e.Queue != "" && !e.CreatedAt.IsZero())
		}
	}, storedResult(), replay)
}

// A whole course is too much to mutate: the input is what differs from a valid
// one, a field of the course, of its first lesson and of that one's exercise.
func FuzzStructure(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"course_title":"Go"}`, `{"estimated_duration_hours":0}`, `{"language":"EN","style":"boring"}`,
		`{"course_tags":["a","","c","d","e"]}`, `{"sections":null}`, `{"prerequisites":["TODO: write"]}`, `{"course_overview":"\u0000"}`,
	} {
		f.Add([]byte(seed), []byte(`{"lesson_number":1}`), []byte(`{"exercise_type":"task"}`))
	}
	f.Add([]byte(`{}`), []byte(`{"lesson_number":2,"key_topics":[]}`), []byte(`{"exercise_title":" "}`))
	f.Add([]byte(`{}`), []byte(`{"sources":[{"document":"a.pdf","page":1},{"heading":"x","page":-1}]}`), []byte(`{}`))
	f.Add([]byte(`{}`), []byte(`{"practical_exercises":[],"estimated_duration_minutes":0}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, course, lesson, exercise []byte) {
		s := structure()
		first := &s.Sections[0].Lessons[0]
		if json.Unmarshal(exercise, &first.Exercises[0]) != nil || json.Unmarshal(lesson, first) != nil || json.Unmarshal(course, &s) != nil {
			return
		}
		made, err := domain.NewStructure(s)
		if err != nil {
			requireField(t, err)
			return
		}
		requireComplete(t, made)
		encoded, err := json.Marshal(made)
		require.NoError(t, err)
		var again domain.Structure
		require.NoError(t, json.Unmarshal(encoded, &again))
		again, err = domain.NewStructure(again)
		require.NoError(t, err)
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(twice))
	})
}

func requireComplete(t *testing.T, s domain.Structure) {
	t.Helper()
	require.GreaterOrEqual(t, s.LessonCount(), domain.MinLessons)
	require.Contains(t, domain.Styles(), s.Style)
	require.Positive(t, s.DurationHours)
	next := 1
	for i, sec := range s.Sections {
		require.Equal(t, i+1, sec.Number)
		for _, l := range sec.Lessons {
			require.Equal(t, next, l.Number)
			require.NotEmpty(t, l.Exercises)
			require.Positive(t, l.DurationMinutes)
			next++
		}
	}
}

func FuzzCourse(f *testing.F) {
	f.Add("Bees", "en", "practical", "manual", 10)
	f.Add("  Курс  по\nпродажам ", "PT-br", "", "", 0)
	f.Add("a\x00b", "english!", "boring", "magic", 9)
	f.Add("\xff", "e", "academic", "automatic", 201)
	f.Add("\u2028x\u00a0", "zh-hant", "visual", "", -1)
	f.Fuzz(func(t *testing.T, title, language, style, pipeline string, lessons int) {
		id := uuid.New()
		c, err := domain.NewCourse(id, owner(), title, language, domain.Style(style), domain.Settings{
			Lessons: lessons, Pipeline: domain.Pipeline(pipeline),
		})
		if err != nil {
			requireField(t, err)
			return
		}
		require.NoError(t, c.Validate())
		require.True(t, utf8.ValidString(c.Title) && utf8.ValidString(c.Slug))
		require.LessOrEqual(t, utf8.RuneCountInString(c.Title), 1000)
		require.Equal(t, domain.StatePending, c.State)
		again, err := domain.NewCourse(id, c.Owner, c.Title, c.Language, c.Style, c.Settings)
		require.NoError(t, err, "what is stored can be asked for again")
		require.Equal(t, c, again)

		settings, err := json.Marshal(c.Settings)
		require.NoError(t, err)
		var back domain.Settings
		require.NoError(t, json.Unmarshal(settings, &back))
		require.Equal(t, c.Settings, back)
	})
}

func FuzzJob(f *testing.F) {
	for _, data := range []string{
		`{}`, `{"course_id":"01900000-0000-7000-8000-000000000001"}`, `{"a":"\u0000"}`, `{"a":"\ud83d\ude00","b":"\ud800"}`,
		`{"a":1e300,"b":-1E-400000,"c":[0.5]}`, nested(100), nested(101), `[]`, `{"a":"\\u0000"}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(data), "summarization", int64(0), 0, 0)
	}
	f.Add([]byte(`{}`), "", int64(-1), 101, -1)
	f.Fuzz(func(t *testing.T, data []byte, queue string, notBefore int64, maxAttempts, attempt int) {
		at := time.Unix(notBefore, 0)
		j, err := domain.NewJob(uuid.New(), domain.Queue(queue), data, domain.JobOptions{NotBefore: &at, MaxAttempts: maxAttempts, Attempt: attempt})
		if err != nil {
			requireField(t, err)
			return
		}
		requireObject(t, j.Data)
		require.LessOrEqual(t, len(j.Data), domain.MaxJobBytes)
		requireNoNUL(t, j.Data)
		require.Contains(t, domain.Queues(), j.Queue)
		options, err := json.Marshal(j.Options)
		require.NoError(t, err)
		var back domain.JobOptions
		require.NoError(t, json.Unmarshal(options, &back))
		require.Equal(t, j.Options, back)
		require.NoError(t, back.Validate())

		command := domain.InitializeFSMCommand{
			CourseID: uuid.New(), Caller: owner(), Key: "key-number-1", InitiatedBy: domain.ActorTest, State: domain.StateStage2Init,
			Jobs: []domain.Job{j}, Metadata: data,
		}
		made, err := domain.NewInitializeFSMCommand("P", command)
		require.NoError(t, err, "a command takes what a job may have")
		_, err = domain.ParseFingerprint(string(made.Fingerprint))
		require.NoError(t, err)
	})
}

// requireNoNUL looks at the strings themselves, decoded, where the code looks
// at how they are written.
func requireNoNUL(t *testing.T, data []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return // the end
		}
		if s, ok := token.(string); ok {
			require.NotContains(t, s, "\x00")
		}
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("key-number-1", "API", "stage_2_init", []byte(`{"a":1}`), "changed my mind")
	f.Add("1234567", "", "stage_9", []byte(`[]`), "a\x00")
	f.Add("12345678\x00", "api", "cancelled", []byte(`{"a":"\u0000"}`), "\xff")
	f.Add(strings.Repeat("ё", 255), "TEST", "pending", []byte(nil), strings.Repeat("я", 1001))
	f.Fuzz(func(t *testing.T, key, actor, state string, metadata []byte, reason string) {
		initialize, err := domain.NewInitializeFSMCommand("P", domain.InitializeFSMCommand{
			CourseID: uuid.New(), Caller: owner(), Key: domain.IdempotencyKey(key), InitiatedBy: domain.Actor(actor),
			State: domain.State(state), Metadata: metadata,
		})
		if err != nil {
			requireField(t, err)
		} else {
			require.True(t, initialize.State.Initial())
			require.Contains(t, domain.Actors(), initialize.InitiatedBy)
			if initialize.Metadata != nil {
				requireObject(t, initialize.Metadata)
				requireNoNUL(t, initialize.Metadata)
			}
		}
		change, err := domain.NewChangeStateCommand("P", domain.ChangeStateCommand{
			CourseID: uuid.New(), Caller: owner(), Key: domain.IdempotencyKey(key), InitiatedBy: domain.Actor(actor),
			State: domain.State(state), Reason: reason,
		})
		if err != nil {
			requireField(t, err)
			return
		}
		require.Contains(t, []domain.State{domain.StateCancelled, domain.StatePending}, change.State)
		require.True(t, utf8.ValidString(change.Reason) && utf8.RuneCountInString(change.Reason) <= 1000 && !strings.Contains(change.Reason, "\x00"))
		_, err = domain.NewIdempotencyKey(string(change.Key))
		require.NoError(t, err)
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "STATE_TRANSITIONED", "API", "pending", "a.pdf", "../..", "a\x00b", strings.Repeat("0", 64), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parse := map[string]func() (string, error){
			"event_type":  func() (string, error) { v, err := domain.ParseEventType(s); return string(v), err },
			"created_by":  func() (string, error) { v, err := domain.ParseActor(s); return string(v), err },
			"state":       func() (string, error) { v, err := domain.ParseState(s); return string(v), err },
			"queue":       func() (string, error) { v, err := domain.ParseQueue(s); return string(v), err },
			"style":       func() (string, error) { v, err := domain.ParseStyle(s); return string(v), err },
			"fingerprint": func() (string, error) { v, err := domain.ParseFingerprint(s); return string(v), err },
		}
		for field, f := range parse {
			got, err := f()
			if err != nil {
				require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: field})
				continue
			}
			require.Equal(t, s, got)
		}
		name, err := domain.CleanFileName(s)
		if err != nil {
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "name"})
			return
		}
		again, err := domain.CleanFileName(name)
		require.NoError(t, err)
		require.Equal(t, name, again)
	})
}
