package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lectern/domain"
)

// The formats that a course can be printed in.
const (
	formatOutline  = "outline"
	formatJSON     = "json"
	formatMarkdown = "markdown"
)

func formats() []string { return []string{formatOutline, formatJSON, formatMarkdown} }

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", formatOutline, "print the course as outline, json or markdown")
	complete(cmd, "format", formats()...)
}

func checkFormat(format string) error {
	if !slices.Contains(formats(), format) {
		return inputError{fmt.Errorf("--format: %q is not one of %s", format, strings.Join(formats(), ", "))}
	}
	return nil
}

// render prints a course in one of the formats.
func render(s *domain.Structure, format string) ([]byte, error) {
	switch format {
	case formatJSON:
		return renderJSON(s)
	case formatMarkdown:
		return renderMarkdown(s), nil
	default:
		return renderOutline(s), nil
	}
}

func renderJSON(s *domain.Structure) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("encode course: %w", err)
	}
	return out.Bytes(), nil
}

// labels are the words that a printed course adds to its own.
type labels struct {
	audience, level, hours, minutes, prerequisites, outcomes, assessment, tags    string
	overview, section, lesson, lessons, objectives, topics, exercises, sources, p string
	levels                                                                        map[domain.Difficulty]string
}

// labelsFor returns the words in the course's language, or else in English.
func labelsFor(language string) labels {
	if language == "ru" || strings.HasPrefix(language, "ru-") {
		return labels{
			audience: "Для кого", level: "Уровень", hours: "ч", minutes: "мин", prerequisites: "Что нужно знать заранее",
			outcomes: "Чему вы научитесь", assessment: "Как проверяются знания", tags: "Темы", overview: "О курсе",
			section: "Раздел", lesson: "Урок", lessons: "уроков", objectives: "Цели", topics: "Ключевые темы",
			exercises: "Практика", sources: "Источники", p: "с.",
			levels: map[domain.Difficulty]string{
				domain.DifficultyBeginner: "начальный", domain.DifficultyIntermediate: "средний", domain.DifficultyAdvanced: "продвинутый",
			},
		}
	}
	return labels{
		audience: "For", level: "Level", hours: "h", minutes: "min", prerequisites: "What you need to know",
		outcomes: "What you will learn", assessment: "How learning is checked", tags: "Tags", overview: "Overview",
		section: "Section", lesson: "Lesson", lessons: "lessons", objectives: "Objectives", topics: "Key topics",
		exercises: "Exercises", sources: "Sources", p: "p.",
		levels: map[domain.Difficulty]string{
			domain.DifficultyBeginner: "beginner", domain.DifficultyIntermediate: "intermediate", domain.DifficultyAdvanced: "advanced",
		},
	}
}

func (l labels) source(s domain.Source) string {
	text := s.Document
	if s.Page > 0 {
		text += fmt.Sprintf(", %s %d", l.p, s.Page)
	}
	if s.Heading != "" {
		text += ": " + s.Heading
	}
	return text
}

// plain takes out what a terminal or a reader would obey instead of showing:
// the text may be a stranger's.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return ' '
		}
		return r
	}, s)
}

// wrap breaks text into lines of up to width characters, each indented.
func wrap(text, indent string, width int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(plain(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			out.WriteString(indent)
			column = utf8.RuneCountInString(indent)
		case column+1+n > width:
			out.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent)
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += n
	}
	return out.String()
}
