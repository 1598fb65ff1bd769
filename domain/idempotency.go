package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// IdempotencyTTL is how long a key's first answer is kept and replayed.
const IdempotencyTTL = 24 * time.Hour

// IdempotencyKey is the caller's name for one request: 8 to 255 characters.
type IdempotencyKey string

// NewIdempotencyKey checks and makes a key.
func NewIdempotencyKey(s string) (IdempotencyKey, error) {
	if err := checkText("idempotency_key", s, 8, 255); err != nil {
		return "", err
	}
	return IdempotencyKey(s), nil
}

// Fingerprint is the SHA-256, in hex, of what a request asks for. The same key
// with another fingerprint is an error, not a replay.
type Fingerprint string

// ParseFingerprint checks a fingerprint that was stored: 64 digits, in lower
// case.
func ParseFingerprint(s string) (Fingerprint, error) {
	if len(s) != 2*sha256.Size || strings.Trim(s, "0123456789abcdef") != "" {
		return "", Invalid("fingerprint", "must be 64 hexadecimal digits in lower case")
	}
	return Fingerprint(s), nil
}

// NewFingerprint digests the procedure, the course, the state and the jobs'
// queues, data and options: never a generated id, a time or a trace. JSON
// is compared by value, so spacing and the order of keys don't matter.
func NewFingerprint(procedure string, course uuid.UUID, state State, jobs []Job) (Fingerprint, error) {
	type part struct {
		Queue   Queue      `json:"queue"`
		Data    any        `json:"data"`
		Options JobOptions `json:"options"`
	}
	parts := make([]part, len(jobs))
	for i, j := range jobs {
		data, err := canonical(j.Data)
		if err != nil {
			return "", Invalid(fmt.Sprintf("jobs[%d].data", i), "must be a JSON object: %v", err)
		}
		parts[i] = part{j.Queue, data, j.Options}
	}
	return FingerprintOf(procedure, course, state, parts)
}

// FingerprintOf digests a procedure's name and the parts of its request, each
// by its JSON.
func FingerprintOf(procedure string, parts ...any) (Fingerprint, error) {
	b, err := json.Marshal(append([]any{procedure}, parts...))
	if err != nil {
		return "", fmt.Errorf("digest request: %w", err)
	}
	sum := sha256.Sum256(b)
	return Fingerprint(hex.EncodeToString(sum[:])), nil
}

// canonical decodes data so that encoding it again sorts its keys; numbers
// keep their digits.
func canonical(data json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode job data: %w", err)
	}
	return v, nil
}

// MaxAnswerBytes bounds the JSON of an answer that a cache keeps: several times
// what the answer to a command with the most jobs has.
const MaxAnswerBytes = 1 << 20

// CachedAnswer is what a cache keeps of the first answer to a key. A call with
// another fingerprint is not answered by it, but refused.
type CachedAnswer struct {
	Fingerprint Fingerprint
	Result      json.RawMessage // a JSON object
}

// NewCachedAnswer checks and makes an answer.
func NewCachedAnswer(fp Fingerprint, result json.RawMessage) (CachedAnswer, error) {
	if _, err := ParseFingerprint(string(fp)); err != nil {
		return CachedAnswer{}, err
	}
	switch {
	case len(result) > MaxAnswerBytes:
		return CachedAnswer{}, Invalid("result", "must have at most %d bytes, has %d", MaxAnswerBytes, len(result))
	case !isObject(result):
		return CachedAnswer{}, Invalid("result", "must be a JSON object")
	}
	return CachedAnswer{fp, result}, nil
}
