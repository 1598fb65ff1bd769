package ports

import (
	"fmt"
	"regexp"
	"strings"

	"lectern/domain"
)

const maxKeySegments = 16

// keySegment matches one part of a key: nothing that any file system gives a
// meaning of its own, and never ".." or a hidden name.
var keySegment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// CheckKey refuses a key that a store might take for something else: INVALID_FIELD
// unless it is up to 16 segments of letters, digits, '.', '_' and '-' with slashes
// between.
func CheckKey(key string) error {
	segments := strings.Split(key, "/")
	if len(segments) > maxKeySegments {
		return domain.Invalid("key", "must have at most %d segments", maxKeySegments)
	}
	for _, s := range segments {
		if !keySegment.MatchString(s) {
			return domain.Invalid("key", "must be segments of 1 to 128 letters, digits, '.', '_' and '-', beginning with "+
				"a letter or digit, with slashes between; is %q", key)
		}
	}
	return nil
}

// TooLarge is the DOCUMENT_TOO_LARGE of a Put.
func TooLarge(limit int64) error {
	return domain.Errorf(domain.ReasonDocumentTooLarge, "the document is larger than %d bytes: split it or make it smaller", limit)
}

// NoSuchKey is the DOCUMENT_NOT_FOUND of a Get.
func NoSuchKey(key string, cause error) error {
	return &domain.Error{
		Reason: domain.ReasonDocumentNotFound, Err: cause,
		Message: fmt.Sprintf("the bytes of document %s are gone: upload it again", key),
	}
}
