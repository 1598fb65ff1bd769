package ports

import (
	"context"
	"net/http"

	"lectern/domain"
)

// Authenticator tells who calls from a request's headers.
type Authenticator interface {
	// Authenticate returns the caller, or UNAUTHENTICATED.
	Authenticate(ctx context.Context, header http.Header) (domain.Identity, error)
}
