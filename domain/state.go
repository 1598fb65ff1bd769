package domain

import "slices"

// State is a course's generation_status: a state of the finite state machine.
type State string

// The states of a course, in the order of the pipeline.
const (
	StatePending           State = "pending"
	StateStage2Init        State = "stage_2_init"
	StateStage2Processing  State = "stage_2_processing"
	StateStage2Complete    State = "stage_2_complete"
	StateStage3Init        State = "stage_3_init"
	StateStage3Summarizing State = "stage_3_summarizing"
	StateStage3Complete    State = "stage_3_complete"
	StateStage4Init        State = "stage_4_init"
	StateStage4Analyzing   State = "stage_4_analyzing"
	StateStage4Complete    State = "stage_4_complete"
	StateStage5Init        State = "stage_5_init"
	StateStage5Generating  State = "stage_5_generating"
	StateStage5Complete    State = "stage_5_complete"
	StateFinalizing        State = "finalizing"
	StateCompleted         State = "completed"
	StateFailed            State = "failed"
	StateCancelled         State = "cancelled"
)

// States returns every state in the order of the pipeline.
func States() []State {
	return []State{
		StatePending,
		StateStage2Init, StateStage2Processing, StateStage2Complete,
		StateStage3Init, StateStage3Summarizing, StateStage3Complete,
		StateStage4Init, StateStage4Analyzing, StateStage4Complete,
		StateStage5Init, StateStage5Generating, StateStage5Complete,
		StateFinalizing, StateCompleted, StateFailed, StateCancelled,
	}
}

// ParseState returns the state named s, or an INVALID_FIELD error.
func ParseState(s string) (State, error) {
	if slices.Contains(States(), State(s)) {
		return State(s), nil
	}
	return "", Invalid("state", "%q is not a state", s)
}

// Next returns the states that s may change to. This is the one table of the
// state machine; the database's trigger enforces the same one.
func (s State) Next() []State {
	if s.Terminal() {
		return []State{StatePending}
	}
	return append(s.forward(), StateFailed, StateCancelled)
}

// forward returns the states further along the pipeline that s may change to.
func (s State) forward() []State {
	switch s {
	case StatePending:
		return []State{StateStage2Init, StateStage4Init, StateStage5Init}
	case StateStage2Init:
		return []State{StateStage2Processing, StateStage2Complete}
	case StateStage2Complete:
		return []State{StateStage3Init, StateStage4Init}
	default:
		// Everywhere else the pipeline has one way on: the next of the list.
		all := States()
		return []State{all[slices.Index(all, s)+1]}
	}
}

// CanBecome reports whether a course may go from s to next.
func (s State) CanBecome(next State) bool { return slices.Contains(s.Next(), next) }

// Terminal reports whether s ends a run: completed, failed or cancelled.
func (s State) Terminal() bool {
	return s == StateCompleted || s == StateFailed || s == StateCancelled
}

// Initial reports whether s begins a stage: the states that a command may ask
// for.
func (s State) Initial() bool { return slices.Contains(initialStates(), s) }

func initialStates() []State {
	return []State{StateStage2Init, StateStage3Init, StateStage4Init, StateStage5Init}
}
