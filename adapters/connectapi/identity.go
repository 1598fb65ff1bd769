package connectapi

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"lectern/domain"
	"lectern/ports"
)

// FixedIdentity is the Authenticator of the embedded profile: whoever reaches
// the server is this one caller. Use it on a loopback address alone.
type FixedIdentity domain.Identity

var _ ports.Authenticator = FixedIdentity{}

// Authenticate returns the identity and never fails.
func (f FixedIdentity) Authenticate(context.Context, http.Header) (domain.Identity, error) {
	return domain.Identity(f), nil
}

type identityKey struct{}

// authenticate makes the gate that puts the caller into a call's context. A
// gate runs before the message is read, so a stranger cannot make the server
// hold a large document.
func authenticate(a ports.Authenticator, errs errorMapper) connect.RequestGateFunc {
	return func(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
		id, err := a.Authenticate(ctx, header)
		if err != nil {
			return nil, errs.toConnect(ctx, spec.Procedure, err)
		}
		return context.WithValue(ctx, identityKey{}, id), nil
	}
}

// caller returns who makes the call: the zero identity, which owns nothing, if
// no gate was passed.
func caller(ctx context.Context) domain.Identity {
	id, _ := ctx.Value(identityKey{}).(domain.Identity)
	return id
}
