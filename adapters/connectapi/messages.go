package connectapi

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

func courseToProto(c domain.Course) (*lecternv1.Course, error) {
	metadata, err := structFromJSON(c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("read metadata of course %s: %w", c.ID, err)
	}
	return &lecternv1.Course{
		CourseId: c.ID.String(),
		Title:    c.Title,
		Slug:     c.Slug,
		Language: c.Language,
		Style:    StyleToProto(c.Style),
		Settings: &lecternv1.Settings{
			Lessons:  int32(c.Settings.Lessons),
			Pipeline: PipelineToProto(c.Settings.Pipeline),
		},
		State:              StateToProto(c.State),
		Version:            c.Version,
		Run:                int32(c.Run),
		Analysis:           analysisToProto(c.Analysis),
		Structure:          StructureToProto(c.Structure),
		GenerationMetadata: metadata,
		UserId:             c.Owner.UserID.String(),
		CreatedAt:          timestamppb.New(c.CreatedAt),
		UpdatedAt:          timestamppb.New(c.UpdatedAt),
	}, nil
}

func analysisToProto(a *domain.Analysis) *lecternv1.Analysis {
	if a == nil {
		return nil
	}
	return &lecternv1.Analysis{
		Topics:          a.Topics,
		TargetAudience:  a.TargetAudience,
		DifficultyLevel: DifficultyToProto(a.Difficulty),
		TotalLessons:    int32(a.TotalLessons),
		Sections: each(a.Sections, func(s domain.PlannedSection) *lecternv1.PlannedSection {
			return &lecternv1.PlannedSection{Title: s.Title, Lessons: each(s.Lessons, plannedLessonToProto)}
		}),
	}
}

func plannedLessonToProto(l domain.PlannedLesson) *lecternv1.PlannedLesson {
	return &lecternv1.PlannedLesson{Title: l.Title, KeyTopics: l.KeyTopics, Sources: each(l.Sources, sourceToProto)}
}

func documentToProto(d domain.Document) *lecternv1.Document {
	return &lecternv1.Document{
		DocumentId: d.ID.String(),
		CourseId:   d.CourseID.String(),
		Name:       d.Name,
		Format:     formatToProto(d.Format),
		SizeBytes:  d.Size,
		Sha256:     d.SHA256,
		Status:     documentStatusToProto(d.Status),
		Error:      d.Error,
		Summary:    summaryToProto(d.Summary),
		CreatedAt:  timestamppb.New(d.CreatedAt),
	}
}

func summaryToProto(s *domain.Summary) *lecternv1.Summary {
	if s == nil {
		return nil
	}
	return &lecternv1.Summary{Text: s.Text, KeyPhrases: s.KeyPhrases}
}

func fsmStateToProto(s domain.FSMState) *lecternv1.FSMState {
	return &lecternv1.FSMState{
		EntityId:  s.CourseID.String(),
		State:     StateToProto(s.State),
		Version:   s.Version,
		CreatedBy: actorToProto(s.CreatedBy),
		CreatedAt: timestamppb.New(s.CreatedAt),
	}
}

func entryToProto(e domain.QueuedEntry) *lecternv1.QueuedEntry {
	return &lecternv1.QueuedEntry{
		OutboxId:  e.ID.String(),
		QueueName: QueueToProto(e.Queue),
		CreatedAt: timestamppb.New(e.CreatedAt),
	}
}

// structFromJSON reads a JSON object; none, or null, is nil.
func structFromJSON(raw json.RawMessage) (*structpb.Struct, error) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	s := new(structpb.Struct)
	if err := s.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("decode JSON object: %w", err)
	}
	return s, nil
}

// jsonFromStruct writes a JSON object; nil is nil. INVALID_FIELD for what no
// JSON of the database can hold.
func jsonFromStruct(field string, s *structpb.Struct) (json.RawMessage, error) {
	if s == nil {
		return nil, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // "<" is one byte of the limits, not six
	if err := enc.Encode(s.AsMap()); err != nil {
		return nil, domain.Invalid(field, "must be a JSON object: %v", err)
	}
	raw := bytes.TrimSpace(out.Bytes())
	if _, err := domain.CheckObject(field, raw); err != nil {
		return nil, err
	}
	return raw, nil
}
