package openaigen

import (
	"context"
	"fmt"
	"slices"

	"lectern/domain"
)

// outline is the plan as a prompt shows it.
type outline struct {
	Title   string   `json:"title"`
	Lessons []string `json:"lessons"`
}

func outlineOf(a domain.Analysis) []outline {
	shown := make([]outline, len(a.Sections))
	for i, s := range a.Sections {
		shown[i].Title = s.Title
		for _, l := range s.Lessons {
			shown[i].Lessons = append(shown[i].Lessons, l.Title)
		}
	}
	return shown
}

// frameMaterial is what the frame is made of.
type frameMaterial struct {
	Title     string          `json:"title"`
	Topics    []string        `json:"topics"`
	Audience  string          `json:"target_audience"`
	Level     string          `json:"difficulty_level"`
	Plan      []outline       `json:"plan"`
	Documents []shownDocument `json:"documents,omitempty"`
}

// frameAnswer is all of a course but its lessons.
type frameAnswer struct {
	Title              string         `json:"course_title"`
	Description        string         `json:"course_description"`
	Overview           string         `json:"course_overview"`
	TargetAudience     string         `json:"target_audience"`
	Prerequisites      []string       `json:"prerequisites"`
	LearningOutcomes   []string       `json:"learning_outcomes"`
	AssessmentStrategy string         `json:"assessment_strategy"`
	Tags               []string       `json:"course_tags"`
	Sections           []frameSection `json:"sections"` // in the plan's order
}

type frameSection struct {
	Description        string   `json:"section_description"`
	LearningObjectives []string `json:"learning_objectives"`
}

// frame returns the course with the skeleton's lessons.
func (w *writer) frame(ctx context.Context) (domain.Structure, error) {
	language, v := w.prompts.courseView(w.course, w.docs)
	t, err := w.prompts.task(taskFrame, language, v, frameMaterial{
		Title: w.course.Title, Topics: w.analysis.Topics, Audience: w.analysis.TargetAudience, Level: string(w.analysis.Difficulty),
		Plan: outlineOf(w.analysis), Documents: showDocuments(w.docs, w.opts.MaxMaterial, nil),
	})
	if err != nil {
		return domain.Structure{}, err
	}
	answer, err := ask(ctx, w.session, t, w.checkFrame)
	if err != nil {
		return domain.Structure{}, err
	}
	return w.framed(answer), nil
}

func (w *writer) checkFrame(a frameAnswer) []string {
	if len(a.Sections) != len(w.sound.Sections) {
		return []string{fmt.Sprintf("sections: must be %d, as in the plan, in its order; are %d", len(w.sound.Sections), len(a.Sections))}
	}
	return problems(w.framed(a), w.sound)
}

// framed puts an answer into the skeleton.
func (w *writer) framed(a frameAnswer) domain.Structure {
	s := w.sound
	s.Title, s.Description, s.Overview = w.title(a.Title), a.Description, a.Overview
	s.TargetAudience, s.AssessmentStrategy = a.TargetAudience, a.AssessmentStrategy
	s.Prerequisites, s.LearningOutcomes, s.Tags = append([]string{}, a.Prerequisites...), a.LearningOutcomes, a.Tags
	s.Sections = slices.Clone(s.Sections)
	for i, section := range a.Sections {
		s.Sections[i].Description, s.Sections[i].LearningObjectives = section.Description, section.LearningObjectives
	}
	return s
}
