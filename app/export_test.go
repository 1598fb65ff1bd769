package app

// Committed lets tests do what a producer does.
func (s Signals) Committed() { s.committed() }
