package openaigen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lectern/ports"
)

// fault is a call that brought no answer. What the endpoint says in words is in
// none: servers repeat requests in their errors, documents and all.
type fault struct {
	failure ports.GeneratorFailure
	after   time.Duration // it asks to be left alone so long
	unasked bool          // nothing was computed, so nothing is paid for
	format  bool          // it was the form of the answer that was refused
	err     error
}

func (f *fault) error() error {
	return &ports.GeneratorError{Failure: f.failure, After: f.after, Err: f.err}
}

func rejected(err error) *fault {
	return &fault{failure: ports.GeneratorRejected, unasked: true, err: err}
}

func refused(why string) *fault {
	return &fault{failure: ports.GeneratorRefused, err: errors.New(why)}
}

func broken(why string) *fault {
	return &fault{failure: ports.GeneratorUnavailable, err: errors.New("the model's endpoint answers what can't be used: " + why)}
}

// faultOf says what went wrong with a request. The client's errors are looked
// at and not repeated.
func (e *endpoint) faultOf(ctx context.Context, res *http.Response, err error) *fault {
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault{failure: ports.GeneratorUnavailable, err: fmt.Errorf(
			"the model's endpoint gave no whole answer within generator.options.timeout (%s)", e.opts.Timeout)}
	case res == nil:
		return unreached(err)
	case res.StatusCode >= http.StatusBadRequest:
		return e.refusal(res)
	case res.StatusCode >= http.StatusMultipleChoices:
		return rejected(fmt.Errorf("the model's endpoint redirects elsewhere (status %d), where nothing is sent: set generator.options.base_url",
			res.StatusCode))
	case errors.As(err, &tooLong):
		return broken(fmt.Sprintf("a response of more than %d bytes", maxResponse))
	}
	return broken("a response that breaks off, or is not a chat completion in JSON")
}

func unreached(err error) *fault {
	var dial *net.OpError
	return &fault{
		failure: ports.GeneratorUnavailable, unasked: errors.As(err, &dial) && dial.Op == "dial",
		err: fmt.Errorf("reach the model's endpoint: %w", cause(err)),
	}
}

// cause is an error without the address that was asked for.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// refusal reads a response of status 400 and above.
func (e *endpoint) refusal(res *http.Response) *fault {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is
	said := readRefusal(text)
	status := fmt.Sprintf("the model's endpoint answers with status %d%s", res.StatusCode, said.names())
	switch code := res.StatusCode; {
	case said.is("insufficient_quota") || code == http.StatusPaymentRequired:
		return rejected(fmt.Errorf("%s: the account there has no credit left", status))
	case passes(code):
		return &fault{failure: ports.GeneratorUnavailable, after: retryAfter(res.Header), unasked: unasked(res.StatusCode), err: errors.New(status)}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return rejected(fmt.Errorf("%s: check generator.options.api_key or api_key_file, and what the key may do", status))
	case said.is("content_filter") || said.is("content_policy_violation"):
		return refused(status + ": its content filter stopped the request; look at the title and the documents")
	case code == http.StatusRequestEntityTooLarge || said.isTooLong():
		return rejected(fmt.Errorf("%s: the prompt is longer than the model takes: lower generator.options.max_material or max_answer_tokens", status))
	case said.mentions("response_format", "json_schema", "json_object"):
		f := rejected(fmt.Errorf("%s: it takes no response_format like this: set generator.options.output", status))
		f.format = true
		return f
	case code == http.StatusNotFound:
		return rejected(fmt.Errorf("%s: check generator.options.base_url and model", status))
	}
	return rejected(fmt.Errorf("%s: it does not take the request; its own log says why", status))
}

// passes tells the statuses after which the same request may succeed.
func passes(code int) bool {
	return slices.Contains([]int{408, 409, 425, 429}, code) || code >= 500 && code != http.StatusNotImplemented
}

// unasked tells what is answered before a model is asked. Any other failure may
// have come after it, when what it did is paid for.
func unasked(code int) bool {
	return slices.Contains([]int{http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusServiceUnavailable}, code)
}

// refusalBody is what an endpoint says about a request that it refused.
type refusalBody struct {
	words []string // of the protocol
	text  string   // in lower case
}

// readRefusal takes the forms in use: OpenAI's object under error, a plain
// message, and those that are none.
func readRefusal(text []byte) refusalBody {
	type body struct {
		Code  any `json:"code"`
		Type  any `json:"type"`
		Param any `json:"param"`
	}
	var b struct {
		body
		Error json.RawMessage `json:"error"`
	}
	_ = json.Unmarshal(text, &b) // if it is one
	inner := b.body
	_ = json.Unmarshal(b.Error, &inner) // likewise
	said := refusalBody{text: strings.ToLower(string(text))}
	for _, v := range []any{inner.Code, inner.Type, inner.Param} {
		if name, ok := v.(string); ok && isName(name) && !slices.Contains(said.words, name) {
			said.words = append(said.words, name)
		}
	}
	return said
}

// isName tells a word of the protocol from a sentence, which may be anybody's.
func isName(s string) bool { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{0,63}$`).MatchString(s) }

func (b refusalBody) names() string {
	if len(b.words) == 0 {
		return ""
	}
	return " (" + strings.Join(b.words, ", ") + ")"
}

func (b refusalBody) is(name string) bool { return slices.Contains(b.words, name) }

func (b refusalBody) isTooLong() bool {
	return b.is("context_length_exceeded") || b.mentions("context length", "context window", "context size", "maximum context")
}

func (b refusalBody) mentions(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(b.text, s) })
}

// retryAfter is how long a response asks to wait: in milliseconds, in seconds,
// or until a time. What is no such thing says nothing.
func retryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour
	for _, in := range []struct {
		header string
		unit   time.Duration
	}{{"Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		n, err := strconv.ParseFloat(h.Get(in.header), 64)
		if err == nil && n >= 0 { // which no NaN is
			return time.Duration(min(n, float64(most/in.unit)) * float64(in.unit))
		}
	}
	at, err := http.ParseTime(h.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), most)
}
