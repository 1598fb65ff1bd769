package connectapi_test

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/app"
	"lectern/domain"
)

func TestTheKeyOfACommandComesFromItsFieldOrItsHeader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, field string
		header      []string
		want        string // "" means that the call is refused
	}{
		{"field", "key-in-field", nil, "key-in-field"},
		{"header", "", []string{"key-in-header"}, "key-in-header"},
		{"both, equal", "the-same-key", []string{"the-same-key"}, "the-same-key"},
		{"an empty header beside the field", "key-in-field", []string{""}, "key-in-field"},
		{"both, different", "key-in-field", []string{"key-in-header"}, ""},
		{"two headers, different", "", []string{"key-in-header", "other-header"}, ""},
		{"none", "", nil, ""},
		{"a header too short", "", []string{"short"}, ""},
		{"a header too long", "", []string{strings.Repeat("k", 256)}, ""},
		{"a field too short", "short", nil, ""},
		{"a field too long", strings.Repeat("k", 256), nil, ""},
	}
	for name, client := range clients(t, connectapi.Config{Courses: fakeCourses{
		initiate: func(_ context.Context, _ domain.Identity, id uuid.UUID, key string) (domain.InitializeFSMResult, error) {
			return result(id, domain.QueuedEntry{}), domain.Errorf(domain.ReasonUnavailable, "got %s", key)
		},
	}}) {
		t.Run(name, func(t *testing.T) {
			for _, tt := range tests {
				req := connect.NewRequest(&lecternv1.InitiateGenerationRequest{CourseId: uuid.NewString(), IdempotencyKey: tt.field})
				for _, value := range tt.header {
					req.Header().Add("Idempotency-Key", value)
				}
				_, err := client.InitiateGeneration(t.Context(), req)
				if tt.want == "" {
					requireReason(t, err, connect.CodeInvalidArgument, "INVALID_FIELD", "idempotency_key")
					continue
				}
				require.ErrorContains(t, err, "got "+tt.want, tt.name)
			}
		})
	}
}

func TestEveryCommandNeedsAKey(t *testing.T) {
	t.Parallel()
	c := client(t, start(t, connectapi.Config{Courses: fakeCourses{}}).url)
	id := uuid.NewString()
	calls := map[string]func() error{
		"InitiateGeneration": func() error {
			_, err := c.InitiateGeneration(t.Context(), connect.NewRequest(&lecternv1.InitiateGenerationRequest{CourseId: id}))
			return err
		},
		"InitializeFSM": func() error {
			_, err := c.InitializeFSM(t.Context(), connect.NewRequest(&lecternv1.InitializeFSMRequest{CourseId: id, State: lecternv1.State_STATE_STAGE_2_INIT}))
			return err
		},
		"CancelGeneration": func() error {
			_, err := c.CancelGeneration(t.Context(), connect.NewRequest(&lecternv1.CancelGenerationRequest{CourseId: id}))
			return err
		},
		"RestartGeneration": func() error {
			_, err := c.RestartGeneration(t.Context(), connect.NewRequest(&lecternv1.RestartGenerationRequest{CourseId: id}))
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			requireReason(t, call(), connect.CodeInvalidArgument, "INVALID_FIELD", "idempotency_key")
		})
	}
}

func TestCreateCourseNeedsNoKeyButTakesOne(t *testing.T) {
	t.Parallel()
	c := client(t, start(t, connectapi.Config{Courses: fakeCourses{
		create: func(_ context.Context, _ domain.Identity, r app.CreateRequest) (domain.Course, error) {
			return domain.Course{Title: "key=" + r.Key}, nil
		},
	}}).url)
	for _, header := range []string{"", "key-in-header"} {
		req := connect.NewRequest(&lecternv1.CreateCourseRequest{Title: "Bees"})
		req.Header().Set("Idempotency-Key", header)
		res, err := c.CreateCourse(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "key="+header, res.Msg.GetCourse().GetTitle())
	}
}
