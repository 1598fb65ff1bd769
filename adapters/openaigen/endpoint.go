package openaigen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"
)

// maxResponse bounds what is read of a response.
const maxResponse = 16 << 20

// endpoint sends requests, and says what came of each.
type endpoint struct {
	opts    Options
	service openai.ChatCompletionService
	client  *http.Client
	output  atomic.Int32 // the place in outputs of the form that is asked for
	log     *slog.Logger
}

// outputs are the forms in the order in which auto tries them.
func outputs() []string { return []string{outputSchema, outputObject, outputText} }

func newEndpoint(opts Options, log *slog.Logger) (*endpoint, error) {
	client, err := newClient(opts)
	if err != nil {
		return nil, err
	}
	e := &endpoint{opts: opts, client: client, log: log}
	if _, err := e.key(); err != nil {
		return nil, err
	}
	for i, output := range outputs() {
		if output == opts.Output {
			e.output.Store(int32(i)) //nolint:gosec // one of three
		}
	}
	// Not openai.NewClient: that would take key, address and headers from
	// variables of the environment that are meant for other programs.
	e.service = openai.NewChatCompletionService(
		option.WithBaseURL(strings.TrimRight(opts.BaseURL, "/")+"/"), option.WithHTTPClient(client),
		option.WithMaxRetries(0), // the budget is asked before each try
	)
	return e, nil
}

func newClient(opts Options) (*http.Client, error) {
	secure, err := opts.TLS.Config()
	if err != nil {
		return nil, err
	}
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("make HTTP client: the default transport was replaced")
	}
	transport := base.Clone()
	transport.TLSClientConfig = secure
	transport.ForceAttemptHTTP2 = true
	transport.MaxIdleConnsPerHost = opts.Concurrency
	return &http.Client{
		Transport: bounded{transport},
		// A redirect would take documents to where nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// bounded ends a response that is too long.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.Transport.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxResponse)
	}
	return res, err
}

func (e *endpoint) close() { e.client.CloseIdleConnections() }

// key is read anew each time: one in a file may change.
func (e *endpoint) key() (string, error) {
	key, err := e.opts.APIKey.OrFile("generator.options.api_key_file", e.opts.APIKeyFile)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(key), nil
}

// The roles of messages.
const (
	roleSystem    = "system"
	roleUser      = "user"
	roleAssistant = "assistant"
)

// message is a part of a conversation.
type message struct{ role, text string }

// request is what is sent.
type request struct {
	name     string // of the schema
	schema   json.RawMessage
	output   int32 // the place in outputs
	messages []message
}

// reply is what a model answered.
type reply struct {
	text, finish, model string
	prompt, completion  int64
}

// send sends a request once.
func (e *endpoint) send(ctx context.Context, r request) (reply, *fault) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	key, err := e.key()
	if err != nil {
		return reply{}, rejected(err)
	}
	var res *http.Response
	with := []option.RequestOption{option.WithResponseInto(&res)}
	if key != "" {
		with = append(with, option.WithAPIKey(key))
	}
	completion, err := e.service.New(ctx, e.params(r), with...)
	if err != nil || res == nil || res.StatusCode != http.StatusOK {
		return reply{}, e.faultOf(ctx, res, err)
	}
	return e.replyOf(completion)
}

func (e *endpoint) params(r request) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{Model: e.opts.Model}
	for _, m := range r.messages {
		switch m.role {
		case roleSystem:
			p.Messages = append(p.Messages, openai.SystemMessage(m.text))
		case roleAssistant:
			p.Messages = append(p.Messages, openai.AssistantMessage(m.text))
		default:
			p.Messages = append(p.Messages, openai.UserMessage(m.text))
		}
	}
	if e.opts.LimitParameter == limitTokens {
		p.MaxTokens = param.NewOpt(e.opts.MaxAnswerTokens)
	} else {
		p.MaxCompletionTokens = param.NewOpt(e.opts.MaxAnswerTokens)
	}
	switch outputs()[r.output] {
	case outputSchema:
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: r.name, Strict: param.NewOpt(true), Schema: r.schema,
		}}
	case outputObject:
		p.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	default:
	}
	return p
}

// replyOf reads a response, or says why there is no answer in it.
func (e *endpoint) replyOf(c *openai.ChatCompletion) (reply, *fault) {
	r := reply{
		model:  modelName(c.Model, e.opts.Model),
		prompt: tokens(c.Usage.PromptTokens), completion: tokens(c.Usage.CompletionTokens),
	}
	if len(c.Choices) == 0 {
		return r, broken("its response holds no answer")
	}
	choice := c.Choices[0]
	r.text, r.finish = choice.Message.Content, choice.FinishReason
	switch {
	case choice.Message.Refusal != "":
		return r, refused("the model refuses to write this; look at the title and the documents")
	case r.finish == "content_filter":
		return r, refused("the endpoint's content filter stopped the answer; look at the title and the documents")
	case r.finish == "tool_calls" || r.finish == "function_call":
		return r, broken("it called a tool that nobody offered instead of answering")
	}
	return r, nil
}

// tokens takes a count as it is believed: what an endpoint says must not wreck
// the sums.
func tokens(n int64) int64 { return min(max(n, 0), 1<<40) }

// modelName takes the name that the endpoint gave if it is one.
func modelName(given, asked string) string {
	if given == "" || utf8.RuneCountInString(given) > 100 || !utf8.ValidString(given) || strings.ContainsFunc(given, unicode.IsControl) {
		return asked
	}
	return given
}

// stepDown asks for a simpler form from now on, when the endpoint has refused one.
func (e *endpoint) stepDown(ctx context.Context, refused int32) bool {
	if e.opts.Output != outputAuto || int(refused)+1 >= len(outputs()) {
		return false
	}
	if e.output.CompareAndSwap(refused, refused+1) {
		e.log.WarnContext(ctx, "the model's endpoint refuses a response_format, and is asked for another", "refused", outputs()[refused],
			"instead", outputs()[refused+1])
	}
	return true
}

// ping asks for the list of models, which endpoints have that have nothing else.
func (e *endpoint) ping(ctx context.Context) error {
	key, err := e.key()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(e.opts.BaseURL, "/")+"/models", nil)
	if err != nil {
		return errors.New("make request: base_url is no address")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := e.client.Do(r)
	if err != nil {
		return fmt.Errorf("reach the model's endpoint: %w", cause(err))
	}
	defer func() { _ = res.Body.Close() }() // it was read for its status
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the model's endpoint refuses the key (status %d)", res.StatusCode)
	case res.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("the model's endpoint answers with status %d", res.StatusCode)
	}
	return nil
}
