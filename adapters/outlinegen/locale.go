package outlinegen

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"lectern/domain"
)

//go:embed data
var data embed.FS

// locale is a language's wording: templates alone, no rules.
type locale struct {
	Texts     texts
	Styles    map[domain.Style]styleTexts
	Exercises map[string][]exerciseTexts // by kind
	Recipes   []recipeSection
}

// texts word what is common to all styles.
type texts struct {
	And           string                         `yaml:"and"`
	Named         string                         `yaml:"named"` // a title in running text
	Introduction  string                         `yaml:"introduction"`
	Continued     string                         `yaml:"continued"`
	LongTitle     string                         `yaml:"long_title"`
	FromDocuments string                         `yaml:"from_documents"`
	Path          string                         `yaml:"path"` // what leads through a course without documents
	FromTitle     string                         `yaml:"from_title"`
	Filled        string                         `yaml:"filled"` // says how many lessons practise what the documents teach
	Plan          string                         `yaml:"plan"`
	Grounding     []string                       `yaml:"grounding"`
	Fallback      []string                       `yaml:"fallback"`
	Audience      map[domain.Difficulty]string   `yaml:"audience"`
	Prerequisites map[domain.Difficulty][]string `yaml:"prerequisites"`
	Bloom         map[string][]string            `yaml:"bloom"`        // by level
	BloomRecipe   map[string][]string            `yaml:"bloom_recipe"` // of a recipe's topics
	BloomClause   map[string][]string            `yaml:"bloom_clause"` // of headings that are clauses
	BloomAction   map[string][]string            `yaml:"bloom_action"` // of headings that name an action
	Tags          []string                       `yaml:"tags"`
}

// styleTexts word a style.
type styleTexts struct {
	Section     string   `yaml:"section"` // frames a section's title
	Lesson      string   `yaml:"lesson"`  // frames a lesson's title
	About       []string `yaml:"about"`   // describe a section
	Opening     []string `yaml:"opening"` // before a lesson's sentences
	Closing     []string `yaml:"closing"` // after them
	Description string   `yaml:"description"`
	Assessment  string   `yaml:"assessment"`
}

// exerciseTexts word an exercise.
type exerciseTexts struct {
	Title string `yaml:"title"`
	Task  string `yaml:"task"`
}

// recipeSection and recipe are the lessons that every topic has, for courses
// whose documents carry too few of their own or that have only a title.
type recipeSection struct {
	Title   string   `yaml:"title"`
	From    int      `yaml:"from"`    // the fewest sections of a course that has this one
	Outcome string   `yaml:"outcome"` // what learners can do afterwards
	Lessons []recipe `yaml:"lessons"`
}

type recipe struct {
	Title    string   `yaml:"title"`
	Topics   []string `yaml:"topics"`
	Text     string   `yaml:"text"`
	Applying bool     `yaml:"applying"` // of use after any documents
}

// languages holds the wordings by primary language subtag, and what all
// languages know of words.
type languages struct {
	locales map[string]*locale
	lexicon *lexicon
}

// neutral is the folder of the wording that is made of labels.
const neutral = "neutral"

// loadLanguages parses the embedded data.
func loadLanguages() (languages, error) {
	all := languages{locales: map[string]*locale{}}
	var lists []wordList
	for _, lang := range []string{"en", "ru", neutral} {
		var list wordList
		if err := decode(lang, "words", nil, &list); err != nil {
			return languages{}, err
		}
		lists = append(lists, list)
	}
	all.lexicon = newLexicon(lists)
	for _, lang := range []string{"en", "ru"} {
		l, err := loadLocale(lang, nil)
		if err != nil {
			return languages{}, err
		}
		all.locales[lang] = l
	}
	var labels map[string]map[string]string
	if err := decode(neutral, "labels", nil, &labels); err != nil {
		return languages{}, err
	}
	for lang, words := range labels {
		l, err := loadLocale(neutral, words)
		if err != nil {
			return languages{}, fmt.Errorf("word language %s: %w", lang, err)
		}
		all.locales[lang] = l
	}
	return all, nil
}

// of returns the wording for a language tag: its own, or labels.
func (l languages) of(tag string) *locale {
	primary, _, _ := strings.Cut(tag, "-")
	if own := l.locales[primary]; own != nil {
		return own
	}
	return l.locales[neutral]
}

func loadLocale(folder string, labels map[string]string) (*locale, error) {
	l := &locale{}
	for name, into := range map[string]any{
		"texts": &l.Texts, "styles": &l.Styles, "exercises": &l.Exercises, "recipes": &l.Recipes,
	} {
		if err := decode(folder, name, labels, into); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// decode reads a file of data strictly, labels put in for their {@names}.
func decode(folder, name string, labels map[string]string, into any) error {
	file := path.Join("data", folder, name+".yaml")
	raw, err := fs.ReadFile(data, file)
	if err != nil {
		return fmt.Errorf("read embedded %s: %w", file, err)
	}
	for label, text := range labels {
		raw = bytes.ReplaceAll(raw, []byte("{@"+label+"}"), []byte(text))
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("parse embedded %s: %w", file, err)
	}
	return nil
}

// style returns the wording of a style, or the one for all styles.
func (l *locale) style(s domain.Style) styleTexts {
	if own, ok := l.Styles[s]; ok {
		return own
	}
	return l.Styles["default"]
}
