package fakeopenai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// material is all that any prompt's material may hold.
type material struct {
	Text      string          `json:"text"`
	Parts     []any           `json:"summaries_of_parts"`
	Title     string          `json:"title"`
	Topics    []string        `json:"topics"`
	Section   string          `json:"section"`
	Documents []document      `json:"documents"`
	Plan      []any           `json:"plan"`
	Lessons   []plannedLesson `json:"lessons"`
}

type document struct {
	ID       string `json:"id"`
	Headings []struct {
		ID string `json:"id"`
	} `json:"headings"`
}

type plannedLesson struct {
	Number int    `json:"lesson_number"`
	Title  string `json:"lesson_title"`
}

// object is JSON's.
type object = map[string]any

// Answer returns what passes for an answer to a request.
func Answer(r Request) (string, error) {
	var m material
	if err := json.Unmarshal([]byte(r.Material()), &m); err != nil {
		return "", fmt.Errorf("read material: %w", err)
	}
	var answer any
	switch {
	case m.Text != "" || len(m.Parts) > 0:
		answer = object{"text": "Bees live in hives, and a hive holds one queen.", "key_phrases": []string{"hive", "queen"}}
	case len(m.Lessons) > 0:
		answer = object{"lessons": lessons(m)}
	case len(m.Plan) > 0:
		answer = frame(m)
	case m.Title != "":
		answer = plan(m)
	default:
		return "", errors.New("nothing is known of this task")
	}
	text, err := json.Marshal(answer)
	return string(text), err
}

// plan has 4 sections of 3 lessons, each of which rests on the next heading.
func plan(m material) object {
	var places []string
	for _, d := range m.Documents {
		places = append(places, d.ID)
		for _, h := range d.Headings {
			places = append(places, h.ID)
		}
	}
	var sections []any
	for i := range 4 {
		var planned []any
		for j := range 3 {
			sources := []string{}
			if len(places) > 0 {
				sources = append(sources, places[(i*3+j)%len(places)])
			}
			planned = append(planned, object{
				"title": fmt.Sprintf("Bees, view %d of side %d", j+1, i+1), "key_topics": []string{"hive", "queen"}, "sources": sources,
			})
		}
		sections = append(sections, object{"title": fmt.Sprintf("Bees from side %d", i+1), "lessons": planned})
	}
	return object{
		"topics": []string{"bees", "hives", "queens", "honey", "swarms"}, "target_audience": "People who want to keep bees.",
		"difficulty_level": "beginner", "sections": sections,
	}
}

func frame(m material) object {
	text := strings.Repeat("Bees are kept in hives. ", 3)
	sections := make([]any, len(m.Plan))
	for i := range sections {
		sections[i] = object{"section_description": text, "learning_objectives": []string{"Describe a hive."}}
	}
	return object{
		"course_title": "All about " + m.Title, "course_description": text, "course_overview": text, "target_audience": "People who want to keep bees.",
		"prerequisites": []string{}, "learning_outcomes": []string{"Describe a hive.", "Find a queen.", "Harvest honey."},
		"assessment_strategy": text, "course_tags": []string{"bees", "hives", "queens", "honey", "swarms"}, "sections": sections,
	}
}

func lessons(m material) []any {
	all := make([]any, len(m.Lessons))
	for i, l := range m.Lessons {
		all[i] = object{
			"lesson_number": l.Number, "lesson_objectives": []string{"Describe a hive."}, "key_topics": []string{"hive"},
			"content_summary": l.Title + ": " + strings.Repeat("bees live in hives. ", 10), "estimated_duration_minutes": 20,
			"practical_exercises": []any{object{
				"exercise_type": "observation", "exercise_title": "Look at a hive", "exercise_description": "Note what goes in and out within ten minutes.",
			}},
		}
	}
	return all
}
