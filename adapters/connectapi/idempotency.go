package connectapi

import (
	"net/http"

	"lectern/domain"
)

// idempotencyHeader may carry the key instead of the request's field.
const idempotencyHeader = "Idempotency-Key"

// optionalKey returns the idempotency key of a request, from its field or its
// header, or "" when it has none. Two that differ are INVALID_FIELD.
func optionalKey(header http.Header, field string) (string, error) {
	key := field
	for _, given := range header.Values(idempotencyHeader) {
		if key != "" && given != "" && given != key {
			return "", domain.Invalid("idempotency_key",
				"the %s header says %q, elsewhere the request says %q: send one of them, or the same twice", idempotencyHeader, given, key)
		}
		if given != "" {
			key = given
		}
	}
	if key == "" {
		return "", nil
	}
	if _, err := domain.NewIdempotencyKey(key); err != nil {
		return "", err
	}
	return key, nil
}

// requiredKey is optionalKey for commands, which need one.
func requiredKey(header http.Header, field string) (string, error) {
	key, err := optionalKey(header, field)
	if err == nil && key == "" {
		return "", domain.Invalid("idempotency_key",
			"is required: give a UUID, as the field or as the %s header, and repeat it when you retry", idempotencyHeader)
	}
	return key, err
}
