package domain

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Difficulty is how much a course asks of its learners.
type Difficulty string

// The difficulties.
const (
	DifficultyBeginner     Difficulty = "beginner"
	DifficultyIntermediate Difficulty = "intermediate"
	DifficultyAdvanced     Difficulty = "advanced"
)

// Analysis is stage 4's plan of a course.
type Analysis struct {
	Topics         []string         `json:"topics"` // most important first
	TargetAudience string           `json:"target_audience"`
	Difficulty     Difficulty       `json:"difficulty_level"`
	TotalLessons   int              `json:"total_lessons"`
	Sections       []PlannedSection `json:"sections"`
}

// PlannedSection is a section before its text is written.
type PlannedSection struct {
	Title   string          `json:"title"`
	Lessons []PlannedLesson `json:"lessons"`
}

// PlannedLesson is a lesson before its text is written.
type PlannedLesson struct {
	Title     string   `json:"title"`
	KeyTopics []string `json:"key_topics,omitempty"`
	Sources   []Source `json:"sources,omitempty"`
}

// Source is the place in a document that a lesson rests on.
type Source struct {
	Document string `json:"document"`          // the file's name
	Heading  string `json:"heading,omitempty"` // the heading it stands under
	Page     int    `json:"page,omitempty"`
}

// Structure is a finished course. Its JSON is what users and clients see.
type Structure struct {
	Title              string     `json:"course_title"`       // 10..1000 characters
	Description        string     `json:"course_description"` // 20..3000
	Overview           string     `json:"course_overview"`    // 30..10000
	TargetAudience     string     `json:"target_audience"`
	DurationHours      float64    `json:"estimated_duration_hours"`
	Difficulty         Difficulty `json:"difficulty_level"`
	Prerequisites      []string   `json:"prerequisites"`     // 0..10
	LearningOutcomes   []string   `json:"learning_outcomes"` // 3..15
	AssessmentStrategy string     `json:"assessment_strategy"`
	Tags               []string   `json:"course_tags"` // 5..20
	Sections           []Section  `json:"sections"`    // at least 1
	Language           string     `json:"language"`
	Style              Style      `json:"style"`
}

// Section is a part of a course.
type Section struct {
	Number             int      `json:"section_number"` // from 1
	Title              string   `json:"section_title"`
	Description        string   `json:"section_description"`
	LearningObjectives []string `json:"learning_objectives"` // 1..5
	DurationMinutes    int      `json:"estimated_duration_minutes"`
	Lessons            []Lesson `json:"lessons"`
}

// Lesson is a part of a section.
type Lesson struct {
	Number          int        `json:"lesson_number"` // from 1 through the whole course
	Title           string     `json:"lesson_title"`
	Objectives      []string   `json:"lesson_objectives"` // 1..5
	KeyTopics       []string   `json:"key_topics"`        // 1..10
	Content         string     `json:"content_summary"`   // a paragraph or more that teaches
	DurationMinutes int        `json:"estimated_duration_minutes"`
	Exercises       []Exercise `json:"practical_exercises"` // at least 1
	Sources         []Source   `json:"sources,omitempty"`
}

// Exercise is something for the learner to do.
type Exercise struct {
	Type        string `json:"exercise_type"`
	Title       string `json:"exercise_title"`
	Description string `json:"exercise_description"`
}

// Limits of how long a course takes.
const (
	maxHours   = 10000
	maxMinutes = maxHours * 60
)

// NewStructure checks a course that a generator made.
func NewStructure(s Structure) (Structure, error) {
	if err := s.Validate(); err != nil {
		return Structure{}, err
	}
	return s, nil
}

// Validate checks every rule of a finished course and returns the first that
// is broken, naming the field.
func (s Structure) Validate() error {
	_, styleErr := ParseStyle(string(s.Style))
	return cmp.Or(
		runes("course_title", s.Title, 10, 1000),
		runes("course_description", s.Description, 20, 3000),
		runes("course_overview", s.Overview, 30, 10000),
		runes("target_audience", s.TargetAudience, 1, 1000),
		runes("assessment_strategy", s.AssessmentStrategy, 1, 3000),
		count("prerequisites", s.Prerequisites, 0, 10),
		count("learning_outcomes", s.LearningOutcomes, 3, 15),
		count("course_tags", s.Tags, 5, 20),
		s.Difficulty.validate(),
		checkHours("estimated_duration_hours", s.DurationHours),
		checkLanguage(s.Language),
		styleErr,
		s.validateSections(),
	)
}

func checkHours(field string, hours float64) error {
	if math.IsNaN(hours) || hours <= 0 || hours > maxHours {
		return Invalid(field, "must be more than 0, at most %d; is %v", maxHours, hours)
	}
	return nil
}

// LessonCount returns the number of lessons in all sections.
func (s Structure) LessonCount() int {
	n := 0
	for _, sec := range s.Sections {
		n += len(sec.Lessons)
	}
	return n
}

func (s Structure) validateSections() error {
	if len(s.Sections) == 0 {
		return Invalid("sections", "must have at least 1")
	}
	if n := s.LessonCount(); n < MinLessons {
		return Invalid("sections", "must have at least %d lessons in all, have %d", MinLessons, n)
	}
	lessons := 0 // before the section
	for i, sec := range s.Sections {
		if err := sec.validate(i+1, lessons); err != nil {
			return Within(fmt.Sprintf("sections[%d]", i), err)
		}
		lessons += len(sec.Lessons)
	}
	return nil
}

// validate checks a section that must have this number, behind so many lessons
// of the sections before.
func (s Section) validate(number, lessons int) error {
	err := cmp.Or(
		checkBetween("section_number", s.Number, number, number),
		runes("section_title", s.Title, 1, 500),
		runes("section_description", s.Description, 1, 3000),
		count("learning_objectives", s.LearningObjectives, 1, 5),
		checkBetween("estimated_duration_minutes", s.DurationMinutes, 1, maxMinutes),
	)
	if err != nil {
		return err
	}
	if len(s.Lessons) == 0 {
		return Invalid("lessons", "must have at least 1")
	}
	for i, l := range s.Lessons {
		if err := l.validate(lessons + i + 1); err != nil {
			return Within(fmt.Sprintf("lessons[%d]", i), err)
		}
	}
	return nil
}

func (l Lesson) validate(number int) error {
	err := cmp.Or(
		checkBetween("lesson_number", l.Number, number, number),
		runes("lesson_title", l.Title, 1, 500),
		runes("content_summary", l.Content, 1, 10000),
		count("lesson_objectives", l.Objectives, 1, 5),
		count("key_topics", l.KeyTopics, 1, 10),
		checkBetween("estimated_duration_minutes", l.DurationMinutes, 1, maxMinutes),
	)
	if err != nil {
		return err
	}
	if len(l.Exercises) == 0 {
		return Invalid("practical_exercises", "must have at least 1")
	}
	for i, e := range l.Exercises {
		if err := e.validate(); err != nil {
			return Within(fmt.Sprintf("practical_exercises[%d]", i), err)
		}
	}
	for i, src := range l.Sources {
		if err := src.validate(); err != nil {
			return Within(fmt.Sprintf("sources[%d]", i), err)
		}
	}
	return nil
}

func (e Exercise) validate() error {
	return cmp.Or(
		runes("exercise_type", e.Type, 1, 100),
		runes("exercise_title", e.Title, 1, 500),
		runes("exercise_description", e.Description, 1, 3000),
	)
}

// validate asks no more of a heading than that it can be stored: it is the
// document's.
func (s Source) validate() error {
	return cmp.Or(
		checkText("document", s.Document, 1, 255),
		checkText("heading", s.Heading, 0, math.MaxInt),
		checkBetween("page", s.Page, 0, math.MaxInt32),
	)
}

func (d Difficulty) validate() error {
	switch d {
	case DifficultyBeginner, DifficultyIntermediate, DifficultyAdvanced:
		return nil
	}
	return Invalid("difficulty_level", "%q is not one of beginner, intermediate, advanced", d)
}

func runes(field, s string, low, high int) error {
	if n := utf8.RuneCountInString(s); n < low || n > high {
		return Invalid(field, "must have %d to %d characters, has %d", low, high, n)
	}
	return realText(field, s)
}

func count(field string, list []string, low, high int) error {
	if len(list) < low || len(list) > high {
		return Invalid(field, "must have %d to %d items, has %d", low, high, len(list))
	}
	for i, s := range list {
		if err := realText(fmt.Sprintf("%s[%d]", field, i), s); err != nil {
			return err
		}
	}
	return nil
}

// placeholder matches what authors and models leave in a text they mean to
// finish later. It is narrow, for sources may speak of to-do lists.
var placeholder = regexp.MustCompile(`(?i:lorem ipsum)|\bTODO:|\bTBD\b|(?i:\[(insert|placeholder)\b[^\]]*\])`)

// HasPlaceholder reports whether s contains text that a finished course must
// not have.
func HasPlaceholder(s string) bool { return mayHavePlaceholder(s) && placeholder.MatchString(s) }

// mayHavePlaceholder spares nearly every text the expression, which is slow.
func mayHavePlaceholder(s string) bool {
	if strings.IndexByte(s, '[') >= 0 || strings.Contains(s, "TODO:") || strings.Contains(s, "TBD") {
		return true
	}
	for i := strings.IndexByte(s, ' '); i >= 0 && i+1 < len(s); {
		if i > 0 && s[i-1]|' ' == 'm' && s[i+1]|' ' == 'i' { // lorem ipsum
			return true
		}
		next := strings.IndexByte(s[i+1:], ' ')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// realText refuses text that is blank, broken or a placeholder.
func realText(field, s string) error {
	if strings.TrimSpace(s) == "" {
		return Invalid(field, "must be text, not blank")
	}
	if err := checkText(field, s, 0, math.MaxInt); err != nil {
		return err
	}
	if HasPlaceholder(s) {
		m := placeholder.FindString(s)
		return Invalid(field, "contains placeholder text: %q", m)
	}
	return nil
}
