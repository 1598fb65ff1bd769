package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

func validCommand(t *testing.T, jobs ...domain.Job) domain.InitializeFSMCommand {
	t.Helper()
	return domain.InitializeFSMCommand{
		CourseID: uuid.New(), Caller: domain.Identity{OrganizationID: uuid.New()}, Key: "key-number-1",
		InitiatedBy: domain.ActorTest, State: domain.StateStage2Init, Jobs: jobs,
	}
}

func newJob(t *testing.T, data string) domain.Job {
	t.Helper()
	j, err := domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(data), domain.JobOptions{})
	require.NoError(t, err)
	return j
}

func TestCommandNamesTheFieldItRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*domain.InitializeFSMCommand)
		reason domain.Reason
		field  string
	}{
		"no course":             {func(c *domain.InitializeFSMCommand) { c.CourseID = uuid.Nil }, domain.ReasonInvalidField, "course_id"},
		"no organization":       {func(c *domain.InitializeFSMCommand) { c.Caller = domain.Identity{} }, domain.ReasonInvalidField, "organization_id"},
		"not a state":           {func(c *domain.InitializeFSMCommand) { c.State = "x" }, domain.ReasonInvalidField, "state"},
		"a state in mid-stage":  {func(c *domain.InitializeFSMCommand) { c.State = domain.StateCompleted }, domain.ReasonInvalidField, "state"},
		"key of 7 characters":   {func(c *domain.InitializeFSMCommand) { c.Key = "1234567" }, domain.ReasonInvalidField, "idempotency_key"},
		"key of 256 characters": {func(c *domain.InitializeFSMCommand) { c.Key = domain.IdempotencyKey(strings.Repeat("k", 256)) }, domain.ReasonInvalidField, "idempotency_key"},
		"nobody gives it":       {func(c *domain.InitializeFSMCommand) { c.InitiatedBy = "" }, domain.ReasonInvalidField, "initiated_by"},
		"metadata with a NUL":   {func(c *domain.InitializeFSMCommand) { c.Metadata = json.RawMessage(`{"a":"\u0000"}`) }, domain.ReasonInvalidField, "metadata"},
		"metadata over 256 KiB": {func(c *domain.InitializeFSMCommand) {
			c.Metadata = json.RawMessage(`{"a":"` + strings.Repeat("x", 256<<10) + `"}`)
		}, domain.ReasonInvalidField, "metadata"},
		"a job that NewJob did not make": {func(c *domain.InitializeFSMCommand) {
			c.Jobs = []domain.Job{newJob(t, `{}`), {ID: uuid.New(), Queue: domain.QueueSummarization, Data: json.RawMessage(`[]`)}}
		}, domain.ReasonInvalidField, "jobs[1].data"},
		"one id for two jobs": {func(c *domain.InitializeFSMCommand) {
			j := newJob(t, `{}`)
			c.Jobs = []domain.Job{j, j}
		}, domain.ReasonDuplicateEntry, "jobs[1].outbox_id"},
		"metadata not an object":  {func(c *domain.InitializeFSMCommand) { c.Metadata = json.RawMessage(`[]`) }, domain.ReasonInvalidField, "metadata"},
		"more jobs than the most": {func(c *domain.InitializeFSMCommand) { c.Jobs = make([]domain.Job, 1001) }, domain.ReasonTooManyJobs, "jobs"},
		"more bytes than the most": {func(c *domain.InitializeFSMCommand) {
			for range 33 {
				c.Jobs = append(c.Jobs, domain.Job{
					ID: uuid.New(), Queue: domain.QueueSummarization,
					Data: json.RawMessage(`{"x":"` + strings.Repeat("x", 255<<10) + `"}`),
				})
			}
		}, domain.ReasonJobTooLarge, "jobs"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := validCommand(t)
			tt.change(&c)
			_, err := domain.NewInitializeFSMCommand("InitializeFSM", c)
			require.ErrorIs(t, err, &domain.Error{Reason: tt.reason, Field: tt.field})
		})
	}
}

func TestJobNamesTheFieldItRefuses(t *testing.T) {
	t.Parallel()
	_, err := domain.NewJob(uuid.Nil, domain.QueueSummarization, json.RawMessage(`{}`), domain.JobOptions{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "outbox_id"})
	_, err = domain.NewJob(uuid.New(), "", json.RawMessage(`{}`), domain.JobOptions{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "queue"})
	for _, data := range []string{``, `null`, `1`, `[]`, `{`, `{}{}`} {
		_, err = domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(data), domain.JobOptions{})
		require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "data"}, data)
	}
	_, err = domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(`{"x":"`+strings.Repeat("x", 256<<10)+`"}`), domain.JobOptions{})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonJobTooLarge, Field: "data"})
	_, err = domain.NewJob(uuid.New(), domain.QueueSummarization, json.RawMessage(`{}`), domain.JobOptions{MaxAttempts: -1})
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "options.max_attempts"})
}

func TestFingerprintIgnoresWhatIsGeneratedAndSeesTheRest(t *testing.T) {
	t.Parallel()
	base := validCommand(t, newJob(t, `{"a": 1, "b": [2]}`))
	print := func(procedure string, c domain.InitializeFSMCommand) domain.Fingerprint {
		c, err := domain.NewInitializeFSMCommand(procedure, c)
		require.NoError(t, err)
		return c.Fingerprint
	}
	want := print("P", base)

	same := base
	same.Key, same.Jobs = "another-key", []domain.Job{newJob(t, `{"b":[2],"a":1}`)} // another id, another order
	require.Equal(t, want, print("P", same))

	for name, change := range map[string]func(*domain.InitializeFSMCommand){
		"course":  func(c *domain.InitializeFSMCommand) { c.CourseID = uuid.New() },
		"state":   func(c *domain.InitializeFSMCommand) { c.State = domain.StateStage4Init },
		"data":    func(c *domain.InitializeFSMCommand) { c.Jobs = []domain.Job{newJob(t, `{"a": 1}`)} },
		"number":  func(c *domain.InitializeFSMCommand) { c.Jobs = []domain.Job{newJob(t, `{"a": 1.0, "b": [2]}`)} },
		"no jobs": func(c *domain.InitializeFSMCommand) { c.Jobs = nil },
	} {
		other := base
		change(&other)
		require.NotEqual(t, want, print("P", other), name)
	}
	require.NotEqual(t, want, print("Q", base))
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "1234567", "12345678", strings.Repeat("ё", 255), "a\x00aaaaaaaa", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := domain.NewIdempotencyKey(s)
		if err != nil {
			require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "idempotency_key"})
			return
		}
		n := len([]rune(string(key)))
		require.True(t, n >= 8 && n <= 255)
	})
}

func TestChunksCoverEveryWordAndOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3000).Draw(t, "words")
		var blocks []domain.Block
		for i := range n {
			blocks = append(blocks, domain.Block{Kind: domain.BlockParagraph, Text: "w" + strings.Repeat("x", i%7)})
		}
		chunks := domain.Chunks(domain.Text{Blocks: blocks}, domain.ChunkWords, domain.ChunkOverlap)
		total := 0
		for i, c := range chunks {
			words := len(strings.Fields(c.Text))
			require.LessOrEqual(t, words, domain.ChunkWords)
			require.Equal(t, i+1, c.No)
			total += words
		}
		require.Equal(t, n, total-domain.ChunkOverlap*max(0, len(chunks)-1))
	})
}
