package domain

import (
	"cmp"
	"encoding/json"
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
	title = tidy(title)
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
	if s.Pipeline == "" {
		s.Pipeline = PipelineAutomatic
	}
	c := Course{
		ID: id, Owner: owner, Title: title, Slug: Slug(title, id),
		Language: language, Style: style, Settings: s, State: StatePending, Run: 1,
	}
	if err := c.Validate(); err != nil {
		return Course{}, err
	}
	return c, nil
}

// Validate returns the INVALID_FIELD error of the first field that breaks a
// rule. The table's constraints are the same rules, but that a title has a
// letter or a digit. Analysis and structure are not looked at: they were
// checked when they were made, and the rules of their day may have been others.
func (c Course) Validate() error {
	if c.Title != tidy(c.Title) {
		return Invalid("title", "must not have superfluous spaces")
	}
	if len(c.Metadata) > 0 && !isObject(c.Metadata) {
		return Invalid("generation_metadata", "must be a JSON object")
	}
	_, styleErr := ParseStyle(string(c.Style))
	return cmp.Or(
		checkTitle(c.Title),
		checkSlug(c.Slug),
		checkLanguage(c.Language),
		styleErr,
		c.Settings.validate(),
		checkOneOf("state", c.State, States()),
		checkLeast("version", c.Version, 0),
		checkLeast("run", c.Run, 1),
		checkID("course_id", c.ID),
		checkID("organization_id", c.Owner.OrganizationID),
		checkID("user_id", c.Owner.UserID),
	)
}

// tidy makes every run of white space one blank, and drops it at the ends.
func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }

func checkSlug(slug string) error {
	if strings.ContainsFunc(slug, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return Invalid("slug", "must not have spaces or control characters")
	}
	return checkText("slug", slug, 1, maxSlugRunes)
}

// checkLanguage takes a tag as parseLanguage returns it.
func checkLanguage(tag string) error {
	if parsed, err := parseLanguage(tag); err != nil || parsed != tag {
		return Invalid("language", "%q is not a language tag in lower case", tag)
	}
	return nil
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

func (s Settings) validate() error {
	if s.Lessons != 0 && (s.Lessons < MinLessons || s.Lessons > MaxLessons) {
		return Invalid("lessons", "must be %d to %d, or 0 to leave it to the generator; is %d", MinLessons, MaxLessons, s.Lessons)
	}
	return checkOneOf("pipeline", s.Pipeline, []Pipeline{PipelineAutomatic, PipelineManual})
}

// A slug is cut from the title, and ends with a hyphen and 8 digits of the id.
const (
	slugTitleRunes = 80
	maxSlugRunes   = slugTitleRunes + 1 + 8
)

// Slug makes a course's name for an address: the title's letters and digits,
// lower case, joined by hyphens, at most 80 characters, and the end of the id
// that keeps it unique.
func Slug(title string, id uuid.UUID) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	slug := []rune(strings.Join(words, "-"))
	if len(slug) > slugTitleRunes {
		slug = slug[:slugTitleRunes]
	}
	return strings.Trim(string(slug), "-") + "-" + id.String()[28:]
}
