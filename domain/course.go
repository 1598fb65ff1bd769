package domain

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of what a course is asked to be.
const (
	MaxTitleRunes = 1000
	MaxLessons    = 200
	MinLessons    = 10 // a complete course has no fewer
)

// Pipeline says who gives the command that begins the next stage.
type Pipeline string

// The pipelines.
const (
	PipelineAutomatic Pipeline = "automatic" // a stage's last job queues the next stage
	PipelineManual    Pipeline = "manual"    // the caller commands each stage
)

// Settings are what the author asks of a course besides its title.
type Settings struct {
	Lessons  int      `json:"lessons,omitempty"` // wanted; 0 leaves it to the generator
	Pipeline Pipeline `json:"pipeline"`
}

// Course is the entity: its State is the state machine's.
type Course struct {
	ID        uuid.UUID
	Owner     Identity
	Title     string
	Slug      string
	Language  string // a BCP 47 tag, lower case: "en", "ru", "pt-br"
	Style     Style
	Settings  Settings
	State     State
	Version   int64 // rises by one with every change of state
	Run       int   // rises by one each time the course becomes pending again
	Analysis  *Analysis
	Structure *Structure
	Metadata  json.RawMessage // generation_metadata: failure reason, generator, counts
	CreatedAt time.Time
	UpdatedAt time.Time
}

// NewCourse checks what an author asked for and makes a pending course. An
// empty language means "en", an empty style "conversational", an empty
// pipeline "automatic".
func NewCourse(id uuid.UUID, owner Identity, title, language string, style Style, s Settings) (Course, error) {
	title = strings.Join(strings.Fields(title), " ")
	if err := checkTitle(title); err != nil {
		return Course{}, err
	}
	language, err := parseLanguage(language)
	if err != nil {
		return Course{}, err
	}
	if style == "" {
		style = StyleConversational
	}
	if _, err := ParseStyle(string(style)); err != nil {
		return Course{}, err
	}
	if err := s.complete(); err != nil {
		return Course{}, err
	}
	return Course{
		ID: id, Owner: owner, Title: title, Slug: Slug(title, id),
		Language: language, Style: style, Settings: s, State: StatePending, Run: 1,
	}, nil
}

func checkTitle(title string) error {
	switch n := utf8.RuneCountInString(title); {
	case n == 0:
		return Invalid("title", "must not be empty: say what the course is about")
	case n > MaxTitleRunes:
		return Invalid("title", "must have at most %d characters, has %d", MaxTitleRunes, n)
	case !utf8.ValidString(title):
		return Invalid("title", "must be valid UTF-8")
	case strings.ContainsFunc(title, unicode.IsControl):
		return Invalid("title", "must not contain control characters")
	case !strings.ContainsFunc(title, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return Invalid("title", "must contain a letter or a digit")
	}
	return nil
}

// parseLanguage accepts the shape of a BCP 47 tag: a primary subtag of two or
// three letters, then subtags of up to eight letters or digits.
func parseLanguage(tag string) (string, error) {
	if tag == "" {
		return "en", nil
	}
	parts := strings.Split(strings.ToLower(tag), "-")
	for i, p := range parts {
		ok := len(p) >= 1 && len(p) <= 8 && strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		if i == 0 {
			ok = (len(p) == 2 || len(p) == 3) && strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") == ""
		}
		if !ok || len(tag) > 35 {
			return "", Invalid("language", "%q is not a language tag; use one like \"en\" or \"ru\"", tag)
		}
	}
	return strings.Join(parts, "-"), nil
}

func (s *Settings) complete() error {
	if s.Pipeline == "" {
		s.Pipeline = PipelineAutomatic
	}
	if !slices.Contains([]Pipeline{PipelineAutomatic, PipelineManual}, s.Pipeline) {
		return Invalid("pipeline", "%q is not one of automatic, manual", s.Pipeline)
	}
	if s.Lessons != 0 && (s.Lessons < MinLessons || s.Lessons > MaxLessons) {
		return Invalid("lessons", "must be %d to %d, or 0 to leave it to the generator; is %d", MinLessons, MaxLessons, s.Lessons)
	}
	return nil
}

// Slug makes a course's name for an address: the title's letters and digits,
// lower case, joined by hyphens, at most 80 characters, and the end of the id
// that keeps it unique.
func Slug(title string, id uuid.UUID) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	slug := []rune(strings.Join(words, "-"))
	if len(slug) > 80 {
		slug = slug[:80]
	}
	return strings.Trim(string(slug), "-") + "-" + id.String()[28:]
}
