package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

// badInput is a request as a caller makes it: the jobs are not made yet.
type badInput struct {
	change func(c *domain.InitializeFSMCommand, r *jobRequest)
	reason domain.Reason
	field  string
}

type jobRequest struct {
	queue domain.Queue
	data  string
	count int
}

func TestBadInputIsANamedErrorAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	foreign := b.course(t)
	conn := connect(t, b.db.Superuser)
	_, err := conn.Exec(t.Context(), `update lectern.courses set organization_id = gen_random_uuid() where id = $1`, foreign.ID)
	require.NoError(t, err)

	type command = domain.InitializeFSMCommand
	for name, tt := range map[string]badInput{
		"a course that is not there":  {func(c *command, _ *jobRequest) { c.CourseID = uuid.New() }, domain.ReasonCourseNotFound, ""},
		"another tenant's course":     {func(c *command, _ *jobRequest) { c.CourseID = foreign.ID }, domain.ReasonForeignCourse, ""},
		"a state that does not exist": {func(c *command, _ *jobRequest) { c.State = "stage_9" }, domain.ReasonInvalidField, "state"},
		"an illegal transition":       {func(c *command, _ *jobRequest) { c.State = domain.StateStage3Init }, domain.ReasonIllegalTransition, ""},
		"an empty queue":              {func(_ *command, r *jobRequest) { r.queue = "" }, domain.ReasonInvalidField, "queue"},
		"data that is not an object":  {func(_ *command, r *jobRequest) { r.data = `[1]` }, domain.ReasonInvalidField, "data"},
		"data with a NUL":             {func(_ *command, r *jobRequest) { r.data = `{"a":"\u0000"}` }, domain.ReasonInvalidField, "data"},
		"data with half a character":  {func(_ *command, r *jobRequest) { r.data = `{"a":"\ud800"}` }, domain.ReasonInvalidField, "data"},
		"data with a number too far":  {func(_ *command, r *jobRequest) { r.data = `{"a":1e400000}` }, domain.ReasonInvalidField, "data"},
		"data nested too far": {func(_ *command, r *jobRequest) {
			r.data = `{"a":` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000) + `}`
		}, domain.ReasonInvalidField, "data"},
		"10 MB of data":           {func(_ *command, r *jobRequest) { r.data = `{"a":"` + strings.Repeat("x", 10<<20) + `"}` }, domain.ReasonJobTooLarge, "data"},
		"10,000 jobs":             {func(_ *command, r *jobRequest) { r.count = 10_000 }, domain.ReasonTooManyJobs, "jobs"},
		"a key of 7 characters":   {func(c *command, _ *jobRequest) { c.Key = "1234567" }, domain.ReasonInvalidField, "idempotency_key"},
		"a key of 256 characters": {func(c *command, _ *jobRequest) { c.Key = domain.IdempotencyKey(strings.Repeat("k", 256)) }, domain.ReasonInvalidField, "idempotency_key"},
		"a key with a NUL":        {func(c *command, _ *jobRequest) { c.Key = "12345678\x00" }, domain.ReasonInvalidField, "idempotency_key"},
		"a key that is not UTF-8": {func(c *command, _ *jobRequest) { c.Key = "12345678\xff" }, domain.ReasonInvalidField, "idempotency_key"},
		"metadata with a NUL":     {func(c *command, _ *jobRequest) { c.Metadata = json.RawMessage(`{"\u0000":1}`) }, domain.ReasonInvalidField, "metadata"},
		"metadata that is a list": {func(c *command, _ *jobRequest) { c.Metadata = json.RawMessage(`[]`) }, domain.ReasonInvalidField, "metadata"},
		"nobody who gives it":     {func(c *command, _ *jobRequest) { c.InitiatedBy = "" }, domain.ReasonInvalidField, "initiated_by"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command{CourseID: c.ID, Caller: b.caller, Key: "key-number-1", InitiatedBy: domain.ActorAPI, State: domain.StateStage2Init}
			jobs := jobRequest{domain.QueueDocumentProcessing, `{}`, 1}
			tt.change(&cmd, &jobs)
			before := b.rows(t)
			err := b.request(t, cmd, jobs)
			var named *domain.Error
			require.ErrorAs(t, err, &named)
			require.Equal(t, tt.reason, named.Reason)
			require.Equal(t, tt.field, named.Field)
			require.Equal(t, before, b.rows(t))
		})
	}
	cmd := command{CourseID: c.ID, Caller: b.caller, Key: "key-number-1", InitiatedBy: domain.ActorAPI, State: domain.StateStage2Init}
	require.NoError(t, b.request(t, cmd, jobRequest{domain.QueueDocumentProcessing, `{}`, 1}), "no bad one spoilt the key or the course")
}

// request does what a caller's command goes through.
func (b *bundle) request(t *testing.T, c domain.InitializeFSMCommand, r jobRequest) error {
	t.Helper()
	for range r.count {
		j, err := domain.NewJob(newID(t), r.queue, json.RawMessage(r.data), domain.JobOptions{})
		if err != nil {
			return err
		}
		c.Jobs = append(c.Jobs, j)
	}
	c, err := domain.NewInitializeFSMCommand("InitializeFSM", c)
	if err != nil {
		return err
	}
	_, err = b.commands.InitializeFSM(t.Context(), c)
	return err
}
