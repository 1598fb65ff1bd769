package connectapi

import (
	"strings"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// The names of the schema's enums are those of the domain's values in upper
// case, behind a prefix, so both directions follow from the names. A value
// that the other side does not know becomes its zero value.

func toEnum[E ~int32](values map[string]int32, prefix, s string) E {
	return E(values[prefix+strings.ToUpper(strings.ReplaceAll(s, "-", "_"))])
}

func fromEnum(names map[int32]string, prefix string, n int32) string {
	if n == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(names[n], prefix))
}

// StyleToProto returns the schema's value for s; "" is unspecified.
func StyleToProto(s domain.Style) lecternv1.Style {
	return toEnum[lecternv1.Style](lecternv1.Style_value, "STYLE_", string(s))
}

// StyleFromProto returns the domain's value for e; unspecified is "".
func StyleFromProto(e lecternv1.Style) domain.Style {
	return domain.Style(fromEnum(lecternv1.Style_name, "STYLE_", int32(e)))
}

// PipelineToProto returns the schema's value for p; "" is unspecified.
func PipelineToProto(p domain.Pipeline) lecternv1.Pipeline {
	return toEnum[lecternv1.Pipeline](lecternv1.Pipeline_value, "PIPELINE_", string(p))
}

// PipelineFromProto returns the domain's value for e; unspecified is "".
func PipelineFromProto(e lecternv1.Pipeline) domain.Pipeline {
	return domain.Pipeline(fromEnum(lecternv1.Pipeline_name, "PIPELINE_", int32(e)))
}

// StateToProto returns the schema's value for s; "" is unspecified.
func StateToProto(s domain.State) lecternv1.State {
	return toEnum[lecternv1.State](lecternv1.State_value, "STATE_", string(s))
}

// StateFromProto returns the domain's value for e; unspecified is "".
func StateFromProto(e lecternv1.State) domain.State {
	return domain.State(fromEnum(lecternv1.State_name, "STATE_", int32(e)))
}

// QueueToProto returns the schema's value for q; "" is unspecified.
func QueueToProto(q domain.Queue) lecternv1.Queue {
	return toEnum[lecternv1.Queue](lecternv1.Queue_value, "QUEUE_", string(q))
}

// QueueFromProto returns the domain's value for e; unspecified is "".
func QueueFromProto(e lecternv1.Queue) domain.Queue {
	return domain.Queue(strings.ReplaceAll(fromEnum(lecternv1.Queue_name, "QUEUE_", int32(e)), "_", "-"))
}

// DifficultyToProto returns the schema's value for d; "" is unspecified.
func DifficultyToProto(d domain.Difficulty) lecternv1.Difficulty {
	return toEnum[lecternv1.Difficulty](lecternv1.Difficulty_value, "DIFFICULTY_", string(d))
}

// DifficultyFromProto returns the domain's value for e; unspecified is "".
func DifficultyFromProto(e lecternv1.Difficulty) domain.Difficulty {
	return domain.Difficulty(fromEnum(lecternv1.Difficulty_name, "DIFFICULTY_", int32(e)))
}

// EntryStateToProto returns the schema's value for s; "" is unspecified.
func EntryStateToProto(s domain.EntryState) lecternv1.EntryState {
	return toEnum[lecternv1.EntryState](lecternv1.EntryState_value, "ENTRY_STATE_", string(s))
}

// EntryStateFromProto returns the domain's value for e; unspecified is "".
func EntryStateFromProto(e lecternv1.EntryState) domain.EntryState {
	return domain.EntryState(fromEnum(lecternv1.EntryState_name, "ENTRY_STATE_", int32(e)))
}

func actorToProto(a domain.Actor) lecternv1.Actor {
	return toEnum[lecternv1.Actor](lecternv1.Actor_value, "ACTOR_", string(a))
}

func eventTypeToProto(t domain.EventType) lecternv1.EventType {
	return toEnum[lecternv1.EventType](lecternv1.EventType_value, "EVENT_TYPE_", string(t))
}

func formatToProto(f domain.Format) lecternv1.Format {
	return toEnum[lecternv1.Format](lecternv1.Format_value, "FORMAT_", string(f))
}

func documentStatusToProto(s domain.DocumentStatus) lecternv1.DocumentStatus {
	return toEnum[lecternv1.DocumentStatus](lecternv1.DocumentStatus_value, "DOCUMENT_STATUS_", string(s))
}
