package domain_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

// The table is written out once more, so that the code's shorter form is held
// against it.
func TestTransitionsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	forward := map[domain.State][]domain.State{
		domain.StatePending:           {domain.StateStage2Init, domain.StateStage4Init, domain.StateStage5Init},
		domain.StateStage2Init:        {domain.StateStage2Processing, domain.StateStage2Complete},
		domain.StateStage2Processing:  {domain.StateStage2Complete},
		domain.StateStage2Complete:    {domain.StateStage3Init, domain.StateStage4Init},
		domain.StateStage3Init:        {domain.StateStage3Summarizing},
		domain.StateStage3Summarizing: {domain.StateStage3Complete},
		domain.StateStage3Complete:    {domain.StateStage4Init},
		domain.StateStage4Init:        {domain.StateStage4Analyzing},
		domain.StateStage4Analyzing:   {domain.StateStage4Complete},
		domain.StateStage4Complete:    {domain.StateStage5Init},
		domain.StateStage5Init:        {domain.StateStage5Generating},
		domain.StateStage5Generating:  {domain.StateStage5Complete},
		domain.StateStage5Complete:    {domain.StateFinalizing},
		domain.StateFinalizing:        {domain.StateCompleted},
	}
	for _, s := range domain.States() {
		want := slices.Concat(forward[s], []domain.State{domain.StateFailed, domain.StateCancelled})
		if s.Terminal() {
			want = []domain.State{domain.StatePending}
		}
		require.ElementsMatch(t, want, s.Next(), "from %s", s)
	}
}

func TestEveryPathOfLegalTransitionsCanStillEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := domain.StatePending
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			s = rapid.SampledFrom(s.Next()).Draw(t, "next")
			_, err := domain.ParseState(string(s))
			require.NoError(t, err)
		}
		require.True(t, s.Terminal() || s.CanBecome(domain.StateFailed))
	})
}

func TestUnknownStateIsRefusedByName(t *testing.T) {
	t.Parallel()
	_, err := domain.ParseState("stage_9")
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonInvalidField, Field: "state"})
	require.ErrorContains(t, err, "stage_9")
}
