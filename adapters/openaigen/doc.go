// Package openaigen writes courses with a language model behind any endpoint
// that speaks OpenAI's chat completions: a service, or a server of one's own.
//
// The model is trusted with nothing: its answers are JSON of a given form,
// checked by the domain's rules, and sent back with what is wrong with them, a
// few times. What documents say is data to it, fenced off in the prompt. A
// run of a course has a budget of tokens and money, which no call may pass.
//
// It does not choose what to do about a failure: it waits for what passes
// within the job's time, and names the rest for the worker.
package openaigen
