package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lectern/domain"
)

func happened(kind domain.EventType, data domain.EventData) domain.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		raw = nil // which no event of these tests has
	}
	return domain.Event{Type: kind, Data: raw}
}

func became(state domain.State) domain.Event {
	return happened(domain.EventStateTransitioned, domain.EventData{To: state})
}

func TestProgressTellsARunFromItsEvents(t *testing.T) {
	t.Parallel()
	job := domain.EventData{Queue: domain.QueueDocumentProcessing}
	var p domain.Progress
	require.Equal(t, "Not started yet", p.String())
	for _, step := range []struct {
		event   domain.Event
		percent int
		words   string
	}{
		{happened(domain.EventFSMInitialized, domain.EventData{To: domain.StateStage2Init}), 0, "Waiting for a worker: reading the documents"},
		{happened(domain.EventJobCreated, job), 0, "Waiting for a worker: reading the documents"},
		{happened(domain.EventJobCreated, job), 0, "Waiting for a worker: reading the documents"},
		{became(domain.StateStage2Processing), 4, "Reading the documents, 0 of 2 done"},
		{happened(domain.EventJobCompleted, job), 22, "Reading the documents, 1 of 2 done"},
		{
			happened(domain.EventJobFailed, domain.EventData{Queue: job.Queue, Reason: "disk full"}), 22,
			"Reading the documents, 1 of 2 done; an attempt failed and is made again: disk full",
		},
		{happened(domain.EventJobCreated, job), 22, "Reading the documents, 1 of 2 done; an attempt failed and is made again: disk full"},
		{happened(domain.EventJobCompleted, job), 40, "Reading the documents, 2 of 2 done"},
		{became(domain.StateStage2Complete), 40, "The documents are read"},
		{became(domain.StateStage3Init), 40, "Waiting for a worker: summarizing the documents"},
		{happened(domain.EventJobCreated, domain.EventData{Queue: domain.QueueSummarization}), 40, "Waiting for a worker: summarizing the documents"},
		{became(domain.StateStage3Summarizing), 41, "Summarizing the documents"},
		{happened(domain.EventStateTransitioned, domain.EventData{To: domain.StateFailed, Reason: "no room"}), 41, "Failed: no room"},
		{became(domain.StateStage3Summarizing), 41, "Summarizing the documents"}, // a dead entry was redriven
		{became(domain.StateStage3Complete), 55, "The documents are summarized"},
		{became(domain.StateStage4Analyzing), 56, "Planning the course"},
		{became(domain.StateStage5Generating), 73, "Writing the course"},
		{became(domain.StateStage5Complete), 99, "The course is written"},
		{became(domain.StateFinalizing), 99, "The course is complete"},
		{became(domain.StateCompleted), 100, "The course is complete"},
		{became(domain.StatePending), 0, "Not started yet"},
		// The next run begins with the title alone.
		{happened(domain.EventFSMInitialized, domain.EventData{To: domain.StateStage4Init}), 0, "Waiting for a worker: planning the course"},
		{became(domain.StateStage4Complete), 33, "The course is planned"},
		{became(domain.StateCancelled), 33, "Cancelled"},
	} {
		p = p.After(step.event)
		require.Equal(t, step.percent, p.Percent(), step.words)
		require.Equal(t, step.words, p.String())
	}
}

// Whatever legal way a course goes, and however its jobs fare.
func TestProgressNeverFallsWithinARunAndIsAllForACompleteCourse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p domain.Progress
		state := domain.StatePending
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			before := p.Percent()
			event := happened(rapid.SampledFrom(domain.EventTypes()[2:]).Draw(t, "event"), domain.EventData{})
			if rapid.Bool().Draw(t, "moves") {
				state = rapid.SampledFrom(state.Next()).Draw(t, "state")
				event = became(state)
			}
			p = p.After(event)
			if state == domain.StatePending {
				require.Zero(t, p.Percent())
				continue
			}
			require.GreaterOrEqual(t, p.Percent(), before)
			require.Equal(t, state == domain.StateCompleted, p.Percent() == 100)
			require.NotEmpty(t, p.String())
		}
	})
}
