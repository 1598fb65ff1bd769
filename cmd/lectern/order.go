package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"lectern/adapters/textextract"
	"lectern/configs"
	"lectern/domain"
)

// order is a course that somebody asks for.
type order struct {
	Title    string       `json:"title"`
	Language string       `json:"language"`
	Style    domain.Style `json:"style"`
	Lessons  int          `json:"lessons"`
	Files    []string     `json:"files"` // absolute paths
	Key      string       `json:"key"`   // begins the idempotency keys of its commands
}

// check finds everything that is wrong with an order before anything is made
// of it. maxBytes bounds each file.
func (o order) check(ctx context.Context, maxBytes int64) error {
	problems := o.checkFlags()
	extractor := newExtractor(configs.Documents{MaxBytes: maxBytes}, 1)
	for _, file := range o.Files {
		if err := checkFile(ctx, extractor, file, maxBytes); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", relative(file), err))
		}
	}
	problems = append(problems, extractor.Close()) //nolint:contextcheck // closing waits for what is being read, which has its own
	if err := errors.Join(problems...); err != nil && ctx.Err() == nil {
		return inputError{fmt.Errorf("nothing was made; mend this first:\n%w", err)}
	}
	return ctx.Err()
}

// checkFlags asks the domain's own rules, each flag apart so that one problem
// hides no other. The domain's fields have the flags' names.
func (o order) checkFlags() []error {
	var problems []error
	anybody := domain.Identity{OrganizationID: uuid.Max, UserID: uuid.Max}
	try := func(title, language string, style domain.Style, lessons int) {
		_, err := domain.NewCourse(uuid.Max, anybody, title, language, style, domain.Settings{Lessons: lessons})
		if err != nil {
			problems = append(problems, fmt.Errorf("--%w", err))
		}
	}
	const fine = "a title"
	try(o.Title, "", "", 0)
	try(fine, o.Language, "", 0)
	try(fine, "", o.Style, 0)
	try(fine, "", "", o.Lessons)
	return problems
}

func checkFile(ctx context.Context, extractor *textextract.Extractor, file string, maxBytes int64) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("there is no such file")
	case err != nil:
		return errors.Unwrap(err) // the path is told already
	case info.IsDir():
		return errors.New("is a folder: give the files in it")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	case info.Size() == 0:
		return errors.New("is empty")
	case info.Size() > maxBytes:
		return fmt.Errorf("has %.1f MiB, the limit is %.1f: split it, or leave out its pictures", mib(info.Size()), mib(maxBytes))
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return errors.Unwrap(err)
	}
	_, err = extractor.Inspect(ctx, filepath.Base(file), content)
	var refused *domain.Error
	if errors.As(err, &refused) {
		return errors.New(refused.Message)
	}
	return err
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// relative names a file as a person in this folder would, if that is shorter.
func relative(file string) string {
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(here, file); err == nil && len(rel) < len(file) {
		return rel
	}
	return file
}
