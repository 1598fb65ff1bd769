package connectapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

func structure() *domain.Structure {
	return &domain.Structure{
		Title: "Title", Description: "Description", Overview: "Overview", TargetAudience: "Audience", DurationHours: 12.5,
		Difficulty: domain.DifficultyIntermediate, Prerequisites: []string{"p"}, LearningOutcomes: []string{"o1", "o2"},
		AssessmentStrategy: "Assessment", Tags: []string{"t1", "t2"}, Language: "ru", Style: domain.StyleProblemBased,
		Sections: []domain.Section{{
			Number: 1, Title: "Раздел", Description: "sd", LearningObjectives: []string{"so"}, DurationMinutes: 90,
			Lessons: []domain.Lesson{{
				Number: 2, Title: "Урок", Objectives: []string{"lo"}, KeyTopics: []string{"k"}, Content: "<content> & more", DurationMinutes: 45,
				Exercises: []domain.Exercise{{Type: "practice", Title: "et", Description: "ed"}},
				Sources:   []domain.Source{{Document: "d.pdf", Heading: "h", Page: 3}},
			}},
		}},
	}
}

func TestAStructureSurvivesTheWire(t *testing.T) {
	t.Parallel()
	wire, err := proto.Marshal(connectapi.StructureToProto(structure()))
	require.NoError(t, err)
	var received lecternv1.Structure
	require.NoError(t, proto.Unmarshal(wire, &received))
	require.Equal(t, structure(), connectapi.StructureFromProto(&received))
}

func TestNoStructureStaysNone(t *testing.T) {
	t.Parallel()
	require.Nil(t, connectapi.StructureToProto(nil))
	require.Nil(t, connectapi.StructureFromProto(nil))
}

func TestAListThatIsEmptyIsShownAsAList(t *testing.T) {
	t.Parallel()
	shown, err := json.Marshal(connectapi.StructureFromProto(&lecternv1.Structure{Sections: []*lecternv1.Section{{Lessons: []*lecternv1.Lesson{{}}}}}))
	require.NoError(t, err)
	require.NotContains(t, string(shown), "null")
}

// The message and the documented JSON have the same names at every level, so a
// client that reads one can read the other.
func TestTheMessagesNamesAreThoseOfTheDocumentedJSON(t *testing.T) {
	t.Parallel()
	documented, err := json.Marshal(structure())
	require.NoError(t, err)
	message, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(connectapi.StructureToProto(structure()))
	require.NoError(t, err)
	require.Equal(t, names(t, documented), names(t, message))
}

// names returns the paths of all names in a JSON document, sorted.
func names(t *testing.T, document []byte) []string {
	t.Helper()
	var root any
	require.NoError(t, json.Unmarshal(document, &root))
	found := make(map[string]bool)
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				found[at+"."+name] = true
				walk(at+"."+name, inner)
			}
		case []any:
			for _, inner := range v {
				walk(at+"[]", inner)
			}
		}
	}
	walk("", root)
	return slices.Sorted(maps.Keys(found))
}
