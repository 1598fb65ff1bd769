package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Progress is how far a course's run has come, as its events tell in their
// order. The zero value is that of a course without events.
type Progress struct {
	state   State
	first   int // the stage that the run began with, as an index of Queues
	percent int
	queued  int    // jobs of the stage
	again   int    // of these, attempts that failed and are about to be queued again
	done    int    // of these
	trouble string // why the last attempt at a job failed, until one goes well
	reason  string // why the run ended, when it was told
}

// stageWeights are the shares of a whole run, by the order of Queues, in
// hundredths: reading and writing take most of the time.
func stageWeights() []int { return []int{40, 15, 15, 30} }

// After returns the progress once e has happened too. An event whose data can't
// be read is none of its matter.
func (p Progress) After(e Event) Progress {
	var data EventData
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return p
	}
	switch e.Type {
	case EventFSMInitialized, EventStateTransitioned:
		p = p.enter(data)
	case EventJobCreated:
		if p.again > 0 {
			p.again--
		} else {
			p.queued++
		}
	case EventJobCompleted:
		p.done++
		p.trouble = ""
	case EventJobFailed: // and is queued again, or fails the course
		p.again++
		p.trouble = data.Reason
	default: // it takes the run no further
	}
	p.percent = max(p.percent, p.reached())
	return p
}

// enter is a change of state. A stage begins with its jobs still to be counted;
// one that a course comes back to goes on with those it had.
func (p Progress) enter(data EventData) Progress {
	if data.To == StatePending {
		return Progress{state: StatePending}
	}
	if data.To.Initial() {
		p.queued, p.again, p.done = 0, 0, 0
		if p.state == "" || p.state == StatePending {
			p.first = data.To.stage()
		}
	}
	p.state, p.reason, p.trouble = data.To, data.Reason, ""
	return p
}

// stage returns the index in Queues of the stage that a state is of, or -1.
func (s State) stage() int {
	return slices.IndexFunc(Queues(), func(q Queue) bool {
		return strings.HasPrefix(string(s), strings.TrimSuffix(string(q.InitialState()), "init"))
	})
}

// reached is what the state and the stage's jobs come to, in per cent.
func (p Progress) reached() int {
	const almost = 99 // only completed is all
	stage, weights := p.state.stage(), stageWeights()
	switch {
	case p.state == StateCompleted:
		return 100
	case p.state == StateFinalizing:
		return almost
	case stage < p.first:
		return 0
	}
	sum, whole := 0, 0
	for i := p.first; i < len(weights); i++ {
		whole += weights[i]
		if i < stage {
			sum += weights[i]
		}
	}
	return min(almost, (100*sum+weights[stage]*p.ofStage())/whole)
}

// ofStage is how much of the stage is done, in per cent: to have begun counts.
func (p Progress) ofStage() int {
	switch {
	case p.state.Initial():
		return 0
	case strings.HasSuffix(string(p.state), "_complete"):
		return 100
	}
	return 10 + 90*min(p.done, p.queued)/max(p.queued, 1)
}

// Percent is 0 to 100; within a run it never falls, and 100 is a complete course.
func (p Progress) Percent() int { return p.percent }

// String says in words how far the run has come, or why it ended.
func (p Progress) String() string {
	switch p.state {
	case "", StatePending:
		return "Not started yet"
	case StateFinalizing, StateCompleted:
		return "The course is complete"
	case StateFailed:
		return because("Failed", p.reason)
	case StateCancelled:
		return because("Cancelled", p.reason)
	default: // of a stage
	}
	doing, did := stageWords(Queues()[p.state.stage()])
	switch {
	case p.state.Initial():
		return "Waiting for a worker: " + doing
	case strings.HasSuffix(string(p.state), "_complete"):
		return sentence(did)
	}
	if p.queued > 1 {
		doing += fmt.Sprintf(", %d of %d done", min(p.done, p.queued), p.queued)
	}
	if p.trouble != "" {
		doing = because(doing+"; an attempt failed and is made again", p.trouble)
	}
	return sentence(doing)
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// sentence begins with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// stageWords are a stage's work while it is done, and once it is.
func stageWords(q Queue) (doing, did string) {
	switch q {
	case QueueDocumentProcessing:
		return "reading the documents", "the documents are read"
	case QueueSummarization:
		return "summarizing the documents", "the documents are summarized"
	case QueueStructureAnalysis:
		return "planning the course", "the course is planned"
	default:
		return "writing the course", "the course is written"
	}
}
