package connectapi_test

import (
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// A flag has no wrong value, and what a JSON object may hold is the domain's.
func needsNoRule(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.BoolKind || f.Message() != nil && f.Message().FullName() == "google.protobuf.Struct"
}

func TestEveryFieldOfARequestHasARule(t *testing.T) {
	t.Parallel()
	seen, rules := map[protoreflect.FullName]bool{}, 0
	var check func(protoreflect.MessageDescriptor)
	check = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Message() != nil && f.Message().ParentFile().Package() == "lectern.v1" {
				check(f.Message()) // its own fields have the rules
				continue
			}
			if needsNoRule(f) {
				continue
			}
			require.True(t, proto.HasExtension(f.Options(), validate.E_Field), "%s has no rule", f.FullName())
			rules++
		}
	}
	for _, file := range []protoreflect.FileDescriptor{
		lecternv1.File_lectern_v1_course_service_proto, lecternv1.File_lectern_v1_outbox_service_proto,
	} {
		require.Equal(t, 1, file.Services().Len())
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			check(methods.Get(i).Input())
		}
	}
	require.Greater(t, rules, 30)
}

func moreBrokenRules(t *testing.T, id string) map[string]brokenRule {
	t.Helper()
	job := func(field string, data map[string]any, options *lecternv1.JobOptions) brokenRule {
		return brokenRule{&lecternv1.InitializeFSMRequest{
			CourseId: id, IdempotencyKey: key, State: lecternv1.State_STATE_STAGE_2_INIT,
			Jobs: []*lecternv1.JobRequest{{Queue: lecternv1.Queue_QUEUE_SUMMARIZATION, Data: object(t, data), Options: options}},
		}, "INVALID_FIELD", field}
	}
	deep := map[string]any{}
	for range domain.MaxJSONDepth {
		deep = map[string]any{"a": deep}
	}
	return map[string]brokenRule{
		"title without a letter":  {&lecternv1.CreateCourseRequest{Title: "?!"}, "INVALID_FIELD", "title"},
		"title with a control":    {&lecternv1.CreateCourseRequest{Title: "a\x7f"}, "INVALID_FIELD", "title"},
		"title with a NUL":        {&lecternv1.CreateCourseRequest{Title: "a\x00"}, "INVALID_FIELD", "title"},
		"key with a NUL":          {&lecternv1.CreateCourseRequest{Title: "Bees", IdempotencyKey: "12345678\x00"}, "INVALID_FIELD", "idempotency_key"},
		"command's key with NUL":  {&lecternv1.InitiateGenerationRequest{CourseId: id, IdempotencyKey: "12345678\x00"}, "INVALID_FIELD", "idempotency_key"},
		"reason with a NUL":       {&lecternv1.CancelGenerationRequest{CourseId: id, IdempotencyKey: key, Reason: "a\x00"}, "INVALID_FIELD", "reason"},
		"file name with a NUL":    {&lecternv1.UploadDocumentRequest{CourseId: id, Name: "a\x00.txt", Content: []byte("x")}, "INVALID_FIELD", "name"},
		"job before 1970":         job("jobs[0].options.not_before", nil, &lecternv1.JobOptions{NotBefore: &timestamppb.Timestamp{Seconds: -1}}),
		"job after 9999":          job("jobs[0].options.not_before", nil, &lecternv1.JobOptions{NotBefore: &timestamppb.Timestamp{Seconds: 253402300800}}),
		"101 attempts":            job("jobs[0].options.max_attempts", nil, &lecternv1.JobOptions{MaxAttempts: 101}),
		"priority 10":             job("jobs[0].options.priority", nil, &lecternv1.JobOptions{Priority: 10}),
		"job data nested too far": job("jobs[0].data", deep, nil),
		"NUL in a key of data":    job("jobs[0].data", map[string]any{"\x00": 1}, nil),
		"metadata with a NUL": {&lecternv1.InitializeFSMRequest{
			CourseId: id, IdempotencyKey: key, State: lecternv1.State_STATE_STAGE_2_INIT, Metadata: object(t, map[string]any{"a": "\x00"}),
		}, "INVALID_FIELD", "metadata"},
	}
}

func TestTextAndJSONThatTheDatabaseCanNotHoldAreRefusedByName(t *testing.T) {
	t.Parallel()
	for name, tt := range moreBrokenRules(t, uuid.NewString()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireBroken(t, tt)
		})
	}
}
