package postgres

// Cursor is how far the claims' cursor has come.
func (s *Outbox) Cursor() int64 { return s.cursor.at }
