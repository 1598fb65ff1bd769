package openaigen

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// readAnswer finds the JSON object in what a model said, and puts it into an
// answer. Around it may be what models that were not held to a schema add: a
// fence, a greeting, their thoughts. Texts come without control characters, and
// trimmed.
func readAnswer(said string, answer any) error {
	object, err := findObject(said)
	if err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(object, &tree); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	tidied, err := json.Marshal(tidy(tree))
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(tidied, answer); errors.As(err, &wrong) {
		return fmt.Errorf("%s: must be of the type that the schema says, not %s", wrong.Field, wrong.Value)
	} else if err != nil {
		return fmt.Errorf("the answer is not of the form that was asked for: %w", err)
	}
	return nil
}

// maxTries bounds the search, whatever a model says.
const maxTries = 32

// findObject returns the first whole object, after thoughts if there are any.
func findObject(said string) ([]byte, error) {
	const thoughts = "</think>"
	if i := strings.LastIndex(said, thoughts); i >= 0 {
		said = said[i+len(thoughts):]
	}
	for range maxTries {
		begin := strings.IndexByte(said, '{')
		if begin < 0 {
			break
		}
		said = said[begin:]
		var object json.RawMessage
		if json.NewDecoder(strings.NewReader(said)).Decode(&object) == nil {
			return object, nil
		}
		said = said[1:]
	}
	return nil, errors.New("the answer has no whole JSON object in it")
}

// tidy goes through all texts of a JSON value.
func tidy(tree any) any {
	switch v := tree.(type) {
	case string:
		return strings.TrimSpace(strings.Map(printable, v))
	case []any:
		for i := range v {
			v[i] = tidy(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = tidy(v[key])
		}
	}
	return tree
}

// printable drops what no text of a course needs: control characters, and those
// that turn the direction of what stands around them.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return -1
	}
	return r
}
