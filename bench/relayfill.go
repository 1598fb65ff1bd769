package main

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// entryBytes is how long each entry's data is, as text.
const entryBytes = 500

// fillOutbox adds n ready entries of a queue, one course after the other, as
// many commands would. The data is of a kind that does not compress away.
func (r *relays) fillOutbox(ctx context.Context, queue string, n int) error {
	return r.insertEntries(ctx, queue, n, "null")
}

// insertEntries adds entries that were processed at a time, or are ready.
func (r *relays) insertEntries(ctx context.Context, queue string, n int, processedAt string) error {
	_, err := r.pg.admin.Exec(ctx, `
		insert into lectern.job_outbox (outbox_id, entity_id, run, queue_name, processed_at, job_data)
		select uuidv7(), course, 1, $3, `+processedAt+`, jsonb_build_object('course_id', course, 'filler', left(concat(
			encode(sha512(convert_to(i || 'a', 'UTF8')), 'hex'), encode(sha512(convert_to(i || 'b', 'UTF8')), 'hex'),
			encode(sha512(convert_to(i || 'c', 'UTF8')), 'hex'), encode(sha512(convert_to(i || 'd', 'UTF8')), 'hex')), $4))
		from (select i, ($1::uuid[])[1 + i % cardinality($1::uuid[])] as course from generate_series(1, $2::integer) i) t
		order by i`, r.courses, n, queue, entryBytes-len(`{"filler": "", "course_id": "00000000-0000-0000-0000-000000000000"}`))
	if err != nil {
		return fmt.Errorf("fill outbox: %w", err)
	}
	return nil
}

// emptyOutbox leaves a bench nothing of the one before.
func (r *relays) emptyOutbox(ctx context.Context) error {
	if _, err := r.pg.admin.Exec(ctx, `truncate lectern.job_outbox`); err != nil {
		return fmt.Errorf("empty outbox: %w", err)
	}
	return nil
}

// expectDrained fails a drain that left something, or sent it elsewhere.
func (r *relays) expectDrained(ctx context.Context) error {
	var left int
	err := r.pg.admin.QueryRow(ctx, `select count(*) from lectern.job_outbox where processed_at is null`).Scan(&left)
	if err != nil {
		return fmt.Errorf("count what is left: %w", err)
	}
	if left > 0 {
		return fmt.Errorf("%d entries are left after the drain", left)
	}
	return nil
}

// filled is the data of a course's entry for a peer that takes it as text, as
// long as ours and as hard to compress.
func filled(course string) []byte {
	data := make([]byte, 0, entryBytes)
	data = fmt.Appendf(data, `{"filler": "`)
	for tail := len(`", "course_id": "`) + len(course) + len(`"}`); len(data) < entryBytes-tail; {
		data = append(data, "0123456789abcdef"[rand.IntN(16)])
	}
	return fmt.Appendf(data, `", "course_id": "%s"}`, course)
}
