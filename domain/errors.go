package domain

import (
	"errors"
	"fmt"
)

// Reason is the stable, machine-readable name of a failure. It is part of the
// API (ErrorInfo.reason), so a value is never renamed or reused.
type Reason string

// The reasons a command, a query or a job can fail for.
const (
	ReasonInvalidField       Reason = "INVALID_FIELD"
	ReasonCourseNotFound     Reason = "COURSE_NOT_FOUND"
	ReasonDocumentNotFound   Reason = "DOCUMENT_NOT_FOUND"
	ReasonForeignCourse      Reason = "COURSE_OF_ANOTHER_ORGANIZATION"
	ReasonIllegalTransition  Reason = "ILLEGAL_TRANSITION"
	ReasonIdempotencyReuse   Reason = "IDEMPOTENCY_KEY_REUSED"
	ReasonTooManyJobs        Reason = "TOO_MANY_JOBS"
	ReasonJobTooLarge        Reason = "JOB_TOO_LARGE"
	ReasonDuplicateEntry     Reason = "DUPLICATE_OUTBOX_ID"
	ReasonNotPending         Reason = "COURSE_NOT_PENDING"
	ReasonDocumentTooLarge   Reason = "DOCUMENT_TOO_LARGE"
	ReasonDocumentUnreadable Reason = "DOCUMENT_UNREADABLE"
	ReasonDocumentEncrypted  Reason = "DOCUMENT_ENCRYPTED"
	ReasonUnsupportedFormat  Reason = "UNSUPPORTED_FORMAT"
	ReasonEntryNotFound      Reason = "ENTRY_NOT_FOUND"
	ReasonEntryNotDead       Reason = "ENTRY_NOT_DEAD"
	ReasonEntryDiscarded     Reason = "ENTRY_DISCARDED"
	ReasonStaleRun           Reason = "STALE_RUN"
	ReasonCourseEnded        Reason = "COURSE_ENDED"
	ReasonOtherDeadEntries   Reason = "COURSE_HAS_OTHER_DEAD"
	ReasonUnauthenticated    Reason = "UNAUTHENTICATED"
	ReasonUnavailable        Reason = "UNAVAILABLE"
)

// Error is a failure that the caller can act on. Adapters turn what their
// technology reports into one at their edge; everything else is internal.
type Error struct {
	Reason  Reason
	Field   string // the request's field at fault, in snake_case; may be empty
	Message string // for a person: what is wrong and what to do
	Err     error  // the cause, if there is one; may be nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same reason, so that
// errors.Is(err, &Error{Reason: r}) asks for a reason.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Reason == e.Reason && (t.Field == "" || t.Field == e.Field)
}

// ReasonOf returns the reason of the first *Error in err's chain, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Within names the place that the field of err stands in: "data" within
// "jobs[3]" becomes "jobs[3].data". An error without a field stays as it is.
func Within(place string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Field == "" {
		return err
	}
	inner := *e
	inner.Field = place + "." + e.Field
	return &inner
}

// Errorf makes an Error without a field.
func Errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes the Error of a field that breaks a rule.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Reason: ReasonInvalidField, Field: field, Message: fmt.Sprintf(format, args...)}
}
