package domain

import "github.com/google/uuid"

// Identity is who calls: it comes from the caller's credentials, never from a
// request's body.
type Identity struct {
	OrganizationID uuid.UUID
	UserID         uuid.UUID
}
