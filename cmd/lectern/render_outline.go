package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"lectern/domain"
)

// outlineWidth suits most terminals.
const outlineWidth = 100

// renderOutline shows a course at a glance: what it is, and its lessons.
func renderOutline(s *domain.Structure) []byte {
	l := labelsFor(s.Language)
	var out strings.Builder
	line := func(format string, args ...any) {
		_, _ = fmt.Fprintf(&out, format+"\n", args...) // a builder takes everything
	}

	title := wrap(s.Title, "", outlineWidth)
	first, _, _ := strings.Cut(title, "\n")
	line("%s\n%s\n", title, strings.Repeat("=", utf8.RuneCountInString(first)))
	line("%s\n", wrap(s.Description, "", outlineWidth))
	line("%s", wrap(l.audience+": "+s.TargetAudience, "", outlineWidth))
	line("%s: %s, %.1f %s\n", l.level, l.levels[s.Difficulty], s.DurationHours, l.hours)
	line("%s:", l.outcomes)
	for _, outcome := range s.LearningOutcomes {
		line("  - %s", strings.TrimSpace(wrap(outcome, "    ", outlineWidth)))
	}
	for _, section := range s.Sections {
		line("\n%d. %s (%s: %d, %d %s)", section.Number, wrap(section.Title, "", outlineWidth),
			l.lessons, len(section.Lessons), section.DurationMinutes, l.minutes)
		for _, lesson := range section.Lessons {
			line("%s", hanging(fmt.Sprintf("   %3d. ", lesson.Number), lesson.Title))
		}
	}
	return []byte(out.String())
}

// hanging puts a mark before text whose further lines stand under the first.
func hanging(mark, text string) string {
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	return mark + strings.TrimPrefix(wrap(text, indent, outlineWidth), indent)
}
