package connectapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// oneToOne checks that each value of the domain has a value of its own in the
// schema, that there is no other, and that the way back ends where it began.
func oneToOne[D ~string, P interface {
	~int32
	protoreflect.Enum
}](t *testing.T, values []D, to func(D) P, from func(P) D,
) {
	t.Helper()
	var zero P
	t.Run(string(zero.Descriptor().Name()), func(t *testing.T) {
		t.Parallel()
		seen := make(map[P]D)
		for _, v := range values {
			p := to(v)
			require.NotZero(t, p, "the schema lacks %q", v)
			require.Empty(t, seen[p], "two values share %v", p)
			seen[p] = v
			require.Equal(t, v, from(p))
		}
		require.Equal(t, len(values)+1, zero.Descriptor().Values().Len(), "the schema has a value that the domain lacks")
		require.Zero(t, to(""))
		require.Empty(t, from(0))
		require.Empty(t, from(99))
	})
}

func TestEnumsAndTheDomainHaveTheSameValues(t *testing.T) {
	t.Parallel()
	oneToOne(t, domain.Styles(), connectapi.StyleToProto, connectapi.StyleFromProto)
	oneToOne(t, domain.States(), connectapi.StateToProto, connectapi.StateFromProto)
	oneToOne(t, domain.Queues(), connectapi.QueueToProto, connectapi.QueueFromProto)
	oneToOne(t, []domain.Pipeline{domain.PipelineAutomatic, domain.PipelineManual}, connectapi.PipelineToProto, connectapi.PipelineFromProto)
	oneToOne(t, []domain.Difficulty{domain.DifficultyBeginner, domain.DifficultyIntermediate, domain.DifficultyAdvanced},
		connectapi.DifficultyToProto, connectapi.DifficultyFromProto)
	require.Equal(t, lecternv1.Style_STYLE_PROBLEM_BASED, connectapi.StyleToProto(domain.StyleProblemBased))
}
