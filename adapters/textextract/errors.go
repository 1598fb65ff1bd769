package textextract

import (
	"errors"

	"lectern/domain"
)

// unreadable makes the error of a document whose content is at fault.
func unreadable(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.ReasonDocumentUnreadable, format, args...)
}

// because attaches a cause to an error made for a person.
func because(e *domain.Error, cause error) *domain.Error {
	e.Err = cause
	return e
}

func isDomainError(err error) bool {
	var e *domain.Error
	return errors.As(err, &e)
}
