package postgres

import (
	"time"

	"lectern/domain"
)

// Cursor is how far the claims' cursor has come.
func (s *Outbox) Cursor() int64 { return s.cursor.at }

// DecodeAnswer returns a command's answer and until when it is kept.
func DecodeAnswer(text []byte) (domain.InitializeFSMResult, time.Time, error) {
	a, err := decodeAnswer(text)
	return a.InitializeFSMResult, a.KeptUntil, err
}

// ScansAnswer reports whether an answer is read without encoding/json.
func ScansAnswer(text []byte) bool {
	_, ok := scanAnswer(text)
	return ok
}
