package s3blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lectern/configs"
	"lectern/domain"
)

// codeOf is what the server called an error; "" if it said nothing.
func codeOf(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}

// failure says what an error of the client means to who asked. That the end of
// their context made it is no fault of the server's.
func failure(asked context.Context, err error) error {
	var answer minio.ErrorResponse
	switch cause := context.Cause(asked); {
	case err == nil:
		return nil
	case cause != nil:
		return cause
	case isOurs(err):
		return err
	case !errors.As(err, &answer) || isOutage(answer.StatusCode):
		return &domain.Error{Reason: domain.ReasonUnavailable, Message: "the documents' store can't be reached: try again", Err: err}
	}
	return withAdvice(err)
}

// isOurs tells what went wrong before anything was sent: a login's file.
func isOurs(err error) bool {
	var file *fs.PathError
	return errors.As(err, &file)
}

// isOutage tells the answers that may be others next time.
func isOutage(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// withAdvice adds what to do about an answer.
func withAdvice(err error) error {
	var advice string
	switch codeOf(err) {
	case minio.NoSuchBucket:
		advice = "create the bucket, name another in documents.options.bucket, or set documents.options.create_bucket"
	case minio.AccessDenied:
		advice = "give the access key the rights to list the bucket, to get, put and delete objects in it, and to abort multipart uploads"
	case minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch:
		advice = "check the keys in documents.options.login, and documents.options.region"
	case minio.AuthorizationHeaderMalformed, "PermanentRedirect":
		advice = "check documents.options.region and documents.options.endpoint"
	case "":
		advice = "check documents.options.endpoint, tls and login, and that the server runs and can be reached from here"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// login gives the client the keys, as they are now.
type login struct{ from configs.Login }

// RetrieveWithCredContext implements [credentials.Provider].
func (l *login) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	access, secret, err := l.from.Read()
	return credentials.Value{AccessKeyID: access, SecretAccessKey: secret, SignerType: credentials.SignatureV4}, err
}

// Retrieve implements [credentials.Provider].
func (l *login) Retrieve() (credentials.Value, error) { return l.RetrieveWithCredContext(nil) }

// IsExpired implements [credentials.Provider]: keys may change at any time.
func (l *login) IsExpired() bool { return true }
