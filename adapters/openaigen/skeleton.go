package openaigen

import (
	"encoding/json"
	"errors"
	"strings"

	"lectern/domain"
)

// filler stands for a text that is not there yet.
const filler = "This text stands for one that is yet to be written."

// skeleton returns a course that passes every rule and has the plan's sections
// and lessons. Put a part that a model wrote into it, and the domain's rules
// say what is wrong with that part.
func skeleton(c domain.Course, a domain.Analysis) domain.Structure {
	fillers := []string{filler, filler, filler, filler, filler}
	s := domain.Structure{
		Title: filler, Description: filler, Overview: filler, TargetAudience: a.TargetAudience, DurationHours: 1,
		Difficulty: a.Difficulty, Prerequisites: []string{}, LearningOutcomes: fillers, AssessmentStrategy: filler, Tags: fillers,
		Language: c.Language, Style: c.Style,
	}
	number := 0
	for i, planned := range a.Sections {
		section := domain.Section{
			Number: i + 1, Title: planned.Title, Description: filler, LearningObjectives: fillers[:1], DurationMinutes: 1,
		}
		for _, l := range planned.Lessons {
			number++
			section.Lessons = append(section.Lessons, domain.Lesson{
				Number: number, Title: l.Title, Objectives: fillers[:1], KeyTopics: fillers[:1], Content: filler, DurationMinutes: 1,
				Exercises: []domain.Exercise{{Type: "task", Title: filler, Description: filler}}, Sources: l.Sources,
			})
		}
		s.Sections = append(s.Sections, section)
	}
	return s
}

// problems returns all that is wrong with a course: the domain names the first,
// so each that it names is taken from a sound course before it is asked again.
func problems(s, sound domain.Structure) []string {
	var all []string
	for {
		err := s.Validate()
		if err == nil {
			return all
		}
		all = append(all, err.Error())
		var invalid *domain.Error
		if len(all) == maxProblems || !errors.As(err, &invalid) || !replace(&s, sound, invalid.Field) {
			return all
		}
	}
}

// replace takes the outermost field of a path from another course. It reports
// whether there is such a field.
func replace(s *domain.Structure, from domain.Structure, path string) bool {
	field := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		field = path[:i]
	}
	fields, err := fieldsOf(*s)
	source, sourceErr := fieldsOf(from)
	if err != nil || sourceErr != nil || source[field] == nil {
		return false
	}
	fields[field] = source[field]
	text, err := json.Marshal(fields)
	if err != nil {
		return false
	}
	*s = domain.Structure{}
	return json.Unmarshal(text, s) == nil
}

func fieldsOf(s domain.Structure) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(text, &fields)
	return fields, err
}
