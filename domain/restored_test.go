package domain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func never() *time.Time {
	t := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	return &t
}

func storedEntry() domain.OutboxEntry {
	return domain.OutboxEntry{
		ID: uuid.New(), Seq: 1, CourseID: uuid.New(), Run: 1, Queue: domain.QueueSummarization,
		Data: json.RawMessage(`{}`), CreatedAt: noon(),
	}
}

func TestEntryNamesTheFieldThatBreaksARule(t *testing.T) {
	t.Parallel()
	at := noon()
	for field, breakIt := range map[string]func(*domain.OutboxEntry){
		"outbox_id":                func(e *domain.OutboxEntry) { e.ID = uuid.Nil },
		"seq":                      func(e *domain.OutboxEntry) { e.Seq = 0 },
		"entity_id":                func(e *domain.OutboxEntry) { e.CourseID = uuid.Nil },
		"run":                      func(e *domain.OutboxEntry) { e.Run = 0 },
		"queue_name":               func(e *domain.OutboxEntry) { e.Queue = domain.Queue(strings.Repeat("я", 101)) },
		"job_data":                 func(e *domain.OutboxEntry) { e.Data = json.RawMessage(`[]`) },
		"job_options.not_before":   func(e *domain.OutboxEntry) { e.Options.NotBefore = never() },
		"job_options.max_attempts": func(e *domain.OutboxEntry) { e.Options.MaxAttempts = 101 },
		"job_options.priority":     func(e *domain.OutboxEntry) { e.Options.Priority = 10 },
		"job_options.attempt":      func(e *domain.OutboxEntry) { e.Options.Attempt = -1 },
		"created_at":               func(e *domain.OutboxEntry) { e.CreatedAt = time.Time{} },
		"processed_at":             func(e *domain.OutboxEntry) { e.ProcessedAt = never() },
		"attempts":                 func(e *domain.OutboxEntry) { e.Attempts = -1 },
		"last_error":               func(e *domain.OutboxEntry) { e.LastError = "\xff" },
		"next_attempt_at":          func(e *domain.OutboxEntry) { e.NextAttemptAt = never() },
		"dead_at":                  func(e *domain.OutboxEntry) { e.ProcessedAt, e.DeadAt = &at, &at },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			e := storedEntry()
			got, err := domain.NewOutboxEntry(e)
			require.NoError(t, err)
			require.Equal(t, e, got)
			breakIt(&e)
			_, err = domain.NewOutboxEntry(e)
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: field})
		})
	}
}

func storedEvent() domain.Event {
	return domain.Event{
		ID: uuid.New(), CourseID: uuid.New(), No: 1, Type: domain.EventFSMInitialized,
		Data: json.RawMessage(`{}`), CreatedAt: noon(), CreatedBy: domain.ActorWorker,
	}
}

func TestEventNamesTheFieldThatBreaksARule(t *testing.T) {
	t.Parallel()
	for field, breakIt := range map[string]func(*domain.Event){
		"event_id":   func(e *domain.Event) { e.ID = uuid.Nil },
		"entity_id":  func(e *domain.Event) { e.CourseID = uuid.Nil },
		"event_no":   func(e *domain.Event) { e.No = 0 },
		"event_type": func(e *domain.Event) { e.Type = "COFFEE" },
		"event_data": func(e *domain.Event) { e.Data = nil },
		"created_at": func(e *domain.Event) { e.CreatedAt = time.Time{} },
		"created_by": func(e *domain.Event) { e.CreatedBy = "api" },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			e := storedEvent()
			got, err := domain.NewEvent(e)
			require.NoError(t, err)
			require.Equal(t, e, got)
			breakIt(&e)
			_, err = domain.NewEvent(e)
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: field})
		})
	}
}

func storedResult() domain.InitializeFSMResult {
	return domain.InitializeFSMResult{
		FSMState: domain.FSMState{
			CourseID: uuid.New(), State: domain.StateStage2Init, Version: 1, CreatedBy: domain.ActorAPI, CreatedAt: noon(),
		},
		OutboxEntries: []domain.QueuedEntry{
			{ID: uuid.New(), Queue: domain.QueueSummarization, CreatedAt: noon()},
			{ID: uuid.New(), Queue: domain.QueueSummarization, CreatedAt: noon()},
		},
	}
}

func TestResultNamesTheFieldThatBreaksARule(t *testing.T) {
	t.Parallel()
	for field, breakIt := range map[string]func(*domain.InitializeFSMResult){
		"fsmState.entity_id":          func(r *domain.InitializeFSMResult) { r.FSMState.CourseID = uuid.Nil },
		"fsmState.state":              func(r *domain.InitializeFSMResult) { r.FSMState.State = "" },
		"fsmState.version":            func(r *domain.InitializeFSMResult) { r.FSMState.Version = 0 },
		"fsmState.created_by":         func(r *domain.InitializeFSMResult) { r.FSMState.CreatedBy = "ME" },
		"fsmState.created_at":         func(r *domain.InitializeFSMResult) { r.FSMState.CreatedAt = time.Time{} },
		"outboxEntries[0].outbox_id":  func(r *domain.InitializeFSMResult) { r.OutboxEntries[0].ID = uuid.Nil },
		"outboxEntries[1].queue_name": func(r *domain.InitializeFSMResult) { r.OutboxEntries[1].Queue = "" },
		"outboxEntries[1].created_at": func(r *domain.InitializeFSMResult) { r.OutboxEntries[1].CreatedAt = time.Time{} },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r := storedResult()
			got, err := domain.NewInitializeFSMResult(r)
			require.NoError(t, err)
			require.Equal(t, r, got)
			breakIt(&r)
			_, err = domain.NewInitializeFSMResult(r)
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: field})
		})
	}
}

func storedCourse(t *testing.T) domain.Course {
	t.Helper()
	c, err := domain.NewCourse(uuid.New(), owner(), "Bees", "", "", domain.Settings{})
	require.NoError(t, err)
	return c
}

func TestStoredCourseNamesTheFieldThatBreaksARule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		field   string
		breakIt func(*domain.Course)
	}{
		{"course_id", func(c *domain.Course) { c.ID = uuid.Nil }},
		{"organization_id", func(c *domain.Course) { c.Owner.OrganizationID = uuid.Nil }},
		{"user_id", func(c *domain.Course) { c.Owner.UserID = uuid.Nil }},
		{"title", func(c *domain.Course) { c.Title = "" }},
		{"title", func(c *domain.Course) { c.Title = "two  blanks" }},
		{"title", func(c *domain.Course) { c.Title = "\x7f" }},
		{"slug", func(c *domain.Course) { c.Slug = "" }},
		{"slug", func(c *domain.Course) { c.Slug = "a b" }},
		{"slug", func(c *domain.Course) { c.Slug = strings.Repeat("s", 90) }},
		{"language", func(c *domain.Course) { c.Language = "EN" }},
		{"language", func(c *domain.Course) { c.Language = "" }},
		{"style", func(c *domain.Course) { c.Style = "" }},
		{"lessons", func(c *domain.Course) { c.Settings.Lessons = -1 }},
		{"pipeline", func(c *domain.Course) { c.Settings.Pipeline = "" }},
		{"state", func(c *domain.Course) { c.State = "stage_9" }},
		{"version", func(c *domain.Course) { c.Version = -1 }},
		{"run", func(c *domain.Course) { c.Run = 0 }},
		{"generation_metadata", func(c *domain.Course) { c.Metadata = json.RawMessage(`1`) }},
	}
	for _, tt := range tests {
		c := storedCourse(t)
		require.NoError(t, c.Validate())
		tt.breakIt(&c)
		require.ErrorIs(t, c.Validate(), &domain.Error{Reason: domain.ReasonInvalidField, Field: tt.field}, "%+v", c)
	}
	_, err := domain.NewCourse(uuid.Nil, owner(), "Bees", "", "", domain.Settings{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "course_id"})
	_, err = domain.NewCourse(uuid.New(), domain.Identity{}, "Bees", "", "", domain.Settings{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "organization_id"})
}

func TestNamesOfTypesAndActorsAreParsedOrRefused(t *testing.T) {
	t.Parallel()
	for _, want := range domain.EventTypes() {
		got, err := domain.ParseEventType(string(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, want := range domain.Actors() {
		got, err := domain.ParseActor(string(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := domain.ParseEventType("job_created")
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "event_type"})
	_, err = domain.ParseActor("")
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "created_by"})
}

func TestFingerprintIs64Digits(t *testing.T) {
	t.Parallel()
	fp, err := domain.FingerprintOf("P", 1)
	require.NoError(t, err)
	got, err := domain.ParseFingerprint(string(fp))
	require.NoError(t, err)
	require.Equal(t, fp, got)
	for _, s := range []string{"", strings.Repeat("a", 63), strings.Repeat("a", 65), strings.Repeat("A", 64), strings.Repeat("g", 64)} {
		_, err := domain.ParseFingerprint(s)
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "fingerprint"}, s)
	}
}

func TestChangeOfStateNamesTheFieldItRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		field   string
		breakIt func(*domain.ChangeStateCommand)
	}{
		"no course":                    {"course_id", func(c *domain.ChangeStateCommand) { c.CourseID = uuid.Nil }},
		"no organization":              {"organization_id", func(c *domain.ChangeStateCommand) { c.Caller.OrganizationID = uuid.Nil }},
		"nobody gives it":              {"initiated_by", func(c *domain.ChangeStateCommand) { c.InitiatedBy = "" }},
		"no key":                       {"idempotency_key", func(c *domain.ChangeStateCommand) { c.Key = "" }},
		"a state that is not a choice": {"state", func(c *domain.ChangeStateCommand) { c.State = domain.StateCompleted }},
		"a reason with a NUL":          {"reason", func(c *domain.ChangeStateCommand) { c.Reason = "a\x00" }},
		"a reason that is not UTF-8":   {"reason", func(c *domain.ChangeStateCommand) { c.Reason = "\xff" }},
		"a reason too long":            {"reason", func(c *domain.ChangeStateCommand) { c.Reason = strings.Repeat("я", 1001) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := domain.ChangeStateCommand{
				CourseID: uuid.New(), Caller: owner(), Key: "key-number-1", InitiatedBy: domain.ActorAPI,
				State: domain.StateCancelled, Reason: strings.Repeat("я", 1000),
			}
			made, err := domain.NewChangeStateCommand("CancelGeneration", c)
			require.NoError(t, err)
			_, err = domain.ParseFingerprint(string(made.Fingerprint))
			require.NoError(t, err)
			tt.breakIt(&c)
			_, err = domain.NewChangeStateCommand("CancelGeneration", c)
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: tt.field})
		})
	}
}

func TestJobOptionsAreBounded(t *testing.T) {
	t.Parallel()
	early, far := time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.FixedZone("far", 24*60*60)
	local := noon().In(time.FixedZone("east", 5*60*60))
	for name, tt := range map[string]struct {
		field   string
		options domain.JobOptions
	}{
		"before 1970":        {"options.not_before", domain.JobOptions{NotBefore: &early}},
		"after 9999":         {"options.not_before", domain.JobOptions{NotBefore: never()}},
		"101 attempts":       {"options.max_attempts", domain.JobOptions{MaxAttempts: 101}},
		"-1 attempts":        {"options.max_attempts", domain.JobOptions{MaxAttempts: -1}},
		"priority 10":        {"options.priority", domain.JobOptions{Priority: 10}},
		"priority -1":        {"options.priority", domain.JobOptions{Priority: -1}},
		"the 101st attempt":  {"options.attempt", domain.JobOptions{Attempt: 101}},
		"an attempt below 0": {"options.attempt", domain.JobOptions{Attempt: -1}},
	} {
		_, err := domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(`{}`), tt.options)
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: tt.field}, name)
	}
	j, err := domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(`{}`), domain.JobOptions{NotBefore: &local, MaxAttempts: 100, Priority: 9, Attempt: 100})
	require.NoError(t, err)
	require.Equal(t, noon(), *j.Options.NotBefore, "in UTC")

	odd := noon().In(far)
	require.ErrorIs(t, domain.JobOptions{NotBefore: &odd}.Validate(), &domain.Error{Reason: domain.ReasonInvalidField, Field: "not_before"})
}

func TestJobDataThatNoWorkerCouldReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"course_id":5}`, `{"course_id":"x"}`, `{"document_id":[]}`} {
		_, err := domain.NewJob(uuid.New(), domain.QueueDocumentProcessing, json.RawMessage(data), domain.JobOptions{})
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "data"}, data)
	}
}
