package connectapi

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

func eventToProto(e domain.Event) (*lecternv1.Event, error) {
	data, err := eventDataToProto(e.Data)
	if err != nil {
		return nil, fmt.Errorf("read data of event %s: %w", e.ID, err)
	}
	event := &lecternv1.Event{
		EventId:   e.ID.String(),
		EntityId:  e.CourseID.String(),
		EventNo:   e.No,
		EventType: eventTypeToProto(e.Type),
		EventData: data,
		CreatedAt: timestamppb.New(e.CreatedAt),
		CreatedBy: actorToProto(e.CreatedBy),
	}
	if e.UserID != nil {
		user := e.UserID.String()
		event.UserId = &user
	}
	return event, nil
}

func progressToProto(p domain.Progress) *lecternv1.Progress {
	return &lecternv1.Progress{Percent: int32(p.Percent()), Words: p.String()}
}

func eventDataToProto(raw json.RawMessage) (*lecternv1.EventData, error) {
	if len(raw) == 0 {
		return &lecternv1.EventData{}, nil
	}
	var d domain.EventData
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("decode event data: %w", err)
	}
	extra, err := extraData(raw)
	if err != nil {
		return nil, err
	}
	return &lecternv1.EventData{
		From:       StateToProto(d.From),
		To:         StateToProto(d.To),
		Version:    d.Version,
		Run:        int32(d.Run),
		OutboxId:   idString(d.OutboxID),
		Queue:      QueueToProto(d.Queue),
		DocumentId: idString(d.DocumentID),
		Document:   d.Document,
		Attempt:    int32(d.Attempt),
		Reason:     d.Reason,
		Extra:      extra,
	}, nil
}

// extraData returns what domain.EventData has no field for; nil if nothing.
func extraData(raw json.RawMessage) (*structpb.Struct, error) {
	s, err := structFromJSON(raw)
	if err != nil {
		return nil, err
	}
	for _, known := range []string{
		"from", "to", "version", "run", "outbox_id", "queue", "document_id", "document", "attempt", "reason",
	} {
		delete(s.GetFields(), known)
	}
	if len(s.GetFields()) == 0 {
		return nil, nil
	}
	return s, nil
}

func idString(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}
