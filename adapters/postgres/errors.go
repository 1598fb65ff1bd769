package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"lectern/domain"
)

// reasons maps the SQLSTATEs that the schema's functions raise.
func reason(code string) domain.Reason {
	switch code {
	case "LE001":
		return domain.ReasonCourseNotFound
	case "LE002", "LE009":
		return domain.ReasonForeignCourse
	case "LE003", "LE006":
		return domain.ReasonInvalidField
	case "LE004", "LE008":
		return domain.ReasonIllegalTransition
	case "LE005":
		return domain.ReasonIdempotencyReuse
	case "LE007":
		return domain.ReasonNotPending
	}
	return ""
}

// asDomain turns what pgx reports into a domain error where the caller can act
// on it, and returns anything else as it is.
func asDomain(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &pg):
		return unavailable(err)
	case reason(pg.Code) != "":
		// The functions name the field at fault as the error's column.
		return &domain.Error{Reason: reason(pg.Code), Field: pg.ColumnName, Message: pg.Message, Err: err}
	case pg.Code == "23505" && pg.ConstraintName == "job_outbox_pkey":
		return &domain.Error{
			Reason: domain.ReasonDuplicateEntry, Field: "outbox_id",
			Message: "a job of this id exists already: make a new id for each job", Err: err,
		}
	case keyTaken(err): // by another procedure: InitializeFSM asks again, the others take turns
		return &domain.Error{Reason: domain.ReasonIdempotencyReuse, Message: "this idempotency key was used for another request", Err: err}
	case pg.Code == "23514" && pg.DataTypeName == "queue":
		return &domain.Error{Reason: domain.ReasonInvalidField, Field: "queue", Message: "must have 1 to 100 characters", Err: err}
	case retryable(pg.Code):
		return &domain.Error{Reason: domain.ReasonUnavailable, Message: "the database can't answer just now: try again", Err: err}
	}
	return err
}

// unavailable marks a failure to reach the server, and a connection that broke
// before the answer came, when nobody knows what was done; a cancelled context
// stays what it is.
func unavailable(err error) error {
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	broken := errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if broken || errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return &domain.Error{Reason: domain.ReasonUnavailable, Message: "the database can't be reached: try again", Err: err}
	}
	return err
}

// retryable tells the SQLSTATEs of a server that is starting, stopping, full or
// out of patience (statement_timeout, lock_timeout), or that picked this
// transaction to lose.
func retryable(code string) bool {
	return slices.Contains([]string{"40001", "40P01", "53300", "55P03", "57014", "57P01", "57P02", "57P03"}, code)
}

// keyTaken tells that an idempotency key was stored by another caller between
// the look at it and the end.
func keyTaken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" && pg.ConstraintName == "idempotency_keys_pkey"
}

func isCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains(codes, pg.Code)
}
