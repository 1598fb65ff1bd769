package openaigen

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"lectern/domain"
)

// files hold a folder of prompts a language, each with the same files, and the
// schemas of the answers.
//
//go:embed prompts
var files embed.FS

// The languages that there are prompts in; others are asked for in English.
const (
	english = "en"
	russian = "ru"
)

// The tasks, by the names of their prompts and schemas.
const (
	taskSummary = "summary"
	taskPlan    = "plan"
	taskFrame   = "frame"
	taskLessons = "lessons"
)

// prompts are all texts that are sent, documents apart.
type prompts struct {
	languages map[string]*template.Template
	styles    map[string]map[domain.Style]string
	schemas   map[string]json.RawMessage
}

// view is what a prompt may speak of. Nothing in it was written by strangers.
type view struct {
	Language  string // a tag; empty for the document's own
	Style     string // how to write
	Documents bool   // there are some
	Lessons   int    // wanted; 0 leaves it to the model
	Part      bool   // of a document's text
	Schema    string
	Problems  []string
}

func loadPrompts() (prompts, error) {
	p := prompts{
		languages: map[string]*template.Template{}, styles: map[string]map[domain.Style]string{}, schemas: map[string]json.RawMessage{},
	}
	for _, language := range []string{english, russian} {
		if err := p.load(language); err != nil {
			return p, err
		}
	}
	for _, task := range []string{taskSummary, taskPlan, taskFrame, taskLessons} {
		text, err := files.ReadFile("prompts/schemas/" + task + ".json")
		if err != nil {
			return p, err
		}
		p.schemas[task] = text
	}
	return p, nil
}

func (p prompts) load(language string) error {
	var err error
	folder := "prompts/" + language
	if p.languages[language], err = template.New(language).ParseFS(files, folder+"/*.tmpl"); err != nil {
		return fmt.Errorf("read prompts: %w", err)
	}
	text, err := files.ReadFile(folder + "/styles.yaml")
	if err != nil {
		return err
	}
	styles := map[domain.Style]string{}
	if err := yaml.Unmarshal(text, styles); err != nil {
		return fmt.Errorf("read %s/styles.yaml: %w", folder, err)
	}
	p.styles[language] = styles
	return nil
}

// in returns the language of the prompts for a course in a language.
func (p prompts) in(tag string) string {
	primary, _, _ := strings.Cut(tag, "-")
	if p.languages[primary] == nil {
		return english
	}
	return primary
}

// task makes a task about some material. All of the author's and the documents'
// is in there, as JSON in which no < stands for itself: nothing in it can end
// what it stands in.
func (p prompts) task(name, language string, v view, material any) (task, error) {
	t := task{name: name, schema: p.schemas[name], language: language}
	var err error
	if t.system, err = p.fill(language, "system", v); err != nil {
		return t, err
	}
	if t.user, err = p.fill(language, name, v); err != nil {
		return t, err
	}
	data, err := json.MarshalIndent(material, "", " ")
	if err != nil {
		return t, fmt.Errorf("write material: %w", err)
	}
	t.user += "\n\n<material>\n" + string(data) + "\n</material>"
	return t, nil
}

// form is what is said to a model that can't be held to a schema.
func (p prompts) form(t task) (string, error) {
	return p.fill(t.language, "form", view{Schema: string(t.schema)})
}

// repair is what is said about an answer.
func (p prompts) repair(t task, problems []string) (string, error) {
	return p.fill(t.language, "repair", view{Schema: string(t.schema), Problems: problems})
}

func (p prompts) fill(language, name string, v view) (string, error) {
	var b strings.Builder
	if err := p.languages[language].ExecuteTemplate(&b, name+".tmpl", v); err != nil {
		return "", fmt.Errorf("write prompt: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

// courseView is what is said of a course.
func (p prompts) courseView(c domain.Course, docs []domain.Document) (string, view) {
	language := p.in(c.Language)
	return language, view{
		Language: c.Language, Style: p.styles[language][c.Style], Documents: len(docs) > 0, Lessons: c.Settings.Lessons,
	}
}
