package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"lectern/domain"
)

// answerRow is the answer of the command's function.
type answerRow struct {
	domain.InitializeFSMResult
	KeptUntil time.Time `json:"keptUntil"` // by the database's clock
}

// decodeAnswer reads the text of an answer. Every command waits for it, and
// encoding/json takes longer than the rest of the driver, so what looks as the
// database writes it is read as that.
func decodeAnswer(text []byte) (answerRow, error) {
	if a, ok := scanAnswer(text); ok {
		return a, nil
	}
	var a answerRow
	if err := json.Unmarshal(text, &a); err != nil {
		return answerRow{}, fmt.Errorf("decode answer: %w", err)
	}
	return a, nil
}

// scanAnswer reads an answer whose fields stand in the order and with the
// blanks of a jsonb's text, and is not ok with any other.
func scanAnswer(text []byte) (a answerRow, ok bool) {
	s := scanner{rest: text}
	a.FSMState.State = domain.State(s.text(`{"fsmState": {"state": `))
	a.FSMState.Version = s.number(`, "version": `)
	a.FSMState.CourseID = s.id(`, "entity_id": `)
	a.FSMState.CreatedAt = s.time(`, "created_at": `)
	a.FSMState.CreatedBy = domain.Actor(s.text(`, "created_by": `))
	a.FromCache = s.boolean(`}, "fromCache": `)
	a.KeptUntil = s.time(`, "keptUntil": `)
	s.skip(`, "outboxEntries": [`)
	a.OutboxEntries = []domain.QueuedEntry{}
	for next := `{"outbox_id": `; !s.failed && !bytes.HasPrefix(s.rest, []byte(`]`)); next = `, {"outbox_id": ` {
		a.OutboxEntries = append(a.OutboxEntries, domain.QueuedEntry{
			ID: s.id(next), CreatedAt: s.time(`, "created_at": `), Queue: domain.Queue(s.text(`, "queue_name": `)),
		})
		s.skip(`}`)
	}
	s.skip(`]}`)
	return a, !s.failed && len(s.rest) == 0
}

// scanner reads values, each behind what stands before it. Once failed, it
// reads no more.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) skip(what string) {
	rest, found := bytes.CutPrefix(s.rest, []byte(what))
	s.rest, s.failed = rest, s.failed || !found
}

// word reads up to the next of the bytes ends, which it leaves.
func (s *scanner) word(ends string) []byte {
	n := bytes.IndexAny(s.rest, ends)
	if s.failed || n < 0 {
		s.failed = true
		return nil
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

// quoted reads a text without escapes.
func (s *scanner) quoted(before string) []byte {
	s.skip(before)
	s.skip(`"`)
	word := s.word(`"\`)
	s.skip(`"`)
	return word
}

func (s *scanner) text(before string) string { return string(s.quoted(before)) }

func (s *scanner) id(before string) uuid.UUID {
	id, err := uuid.ParseBytes(s.quoted(before))
	s.failed = s.failed || err != nil
	return id
}

func (s *scanner) time(before string) time.Time {
	t, err := time.Parse(time.RFC3339, string(s.quoted(before)))
	s.failed = s.failed || err != nil
	return t
}

func (s *scanner) number(before string) int64 {
	s.skip(before)
	n, err := strconv.ParseInt(string(s.word(`,}`)), 10, 64)
	s.failed = s.failed || err != nil
	return n
}

func (s *scanner) boolean(before string) bool {
	s.skip(before)
	b := string(s.word(`,}`))
	s.failed = s.failed || b != "true" && b != "false"
	return b == "true"
}
