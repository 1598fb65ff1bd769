package openaigen

import (
	"context"
	"fmt"

	"lectern/domain"
)

// How many sections a course has that is made from its title alone.
const (
	minTitleSections = 4
	maxTitleSections = 10
)

// planMaterial is what a plan is made of.
type planMaterial struct {
	Title     string          `json:"title"`
	Documents []shownDocument `json:"documents,omitempty"`
}

// planAnswer is a plan as the model gives it.
type planAnswer struct {
	Topics         []string          `json:"topics"`
	TargetAudience string            `json:"target_audience"`
	Difficulty     domain.Difficulty `json:"difficulty_level"`
	Sections       []sectionPlan     `json:"sections"`
}

type sectionPlan struct {
	Title   string       `json:"title"`
	Lessons []lessonPlan `json:"lessons"`
}

type lessonPlan struct {
	Title     string   `json:"title"`
	KeyTopics []string `json:"key_topics"`
	Sources   []string `json:"sources"` // ids of places
}

func (s *session) plan(ctx context.Context, c domain.Course, docs []domain.Document) (domain.Analysis, error) {
	known := places{}
	language, v := s.prompts.courseView(c, docs)
	t, err := s.prompts.task(taskPlan, language, v, planMaterial{c.Title, showDocuments(docs, s.opts.MaxMaterial, known)})
	if err != nil {
		return domain.Analysis{}, err
	}
	answer, err := ask(ctx, s, t, func(a planAnswer) []string { return checkPlan(a, c, known) })
	return answer.analysis(known), err
}

func checkPlan(a planAnswer, c domain.Course, known places) []string {
	problems := one(a.analysis(known).Validate())
	if n := len(a.Sections); len(known) == 0 && (n < minTitleSections || n > maxTitleSections) {
		problems = append(problems, fmt.Sprintf("sections: must be %d to %d, are %d", minTitleSections, maxTitleSections, n))
	}
	// A tenth off what was asked for is close enough not to be worth a call.
	lessons := a.analysis(known).TotalLessons
	if wanted := c.Settings.Lessons; wanted != 0 && max(wanted-lessons, lessons-wanted) > wanted/10 {
		problems = append(problems, fmt.Sprintf("sections: must have %d lessons in all, have %d", wanted, lessons))
	}
	for i, section := range a.Sections {
		for j, l := range section.Lessons {
			if err := checkSources(l.Sources, known); err != nil {
				problems = append(problems, fmt.Sprintf("sections[%d].lessons[%d].sources: %v", i, j, err))
			}
		}
	}
	return problems
}

// checkSources has every lesson of a course with documents rest on places in
// them.
func checkSources(ids []string, known places) error {
	const most = 10
	if len(known) > 0 && (len(ids) == 0 || len(ids) > most) {
		return fmt.Errorf("must name 1 to %d places in the documents by their ids", most)
	}
	for _, id := range ids {
		if _, ok := known[id]; !ok && len(known) > 0 {
			return fmt.Errorf("%.20q is not an id of a document or a heading in the material", id)
		}
	}
	return nil
}

// analysis is the plan as the domain knows it. Ids of no place are dropped:
// where there are documents they were refused before, and else there are none.
func (a planAnswer) analysis(known places) domain.Analysis {
	plan := domain.Analysis{Topics: a.Topics, TargetAudience: a.TargetAudience, Difficulty: a.Difficulty}
	for _, s := range a.Sections {
		section := domain.PlannedSection{Title: s.Title}
		for _, l := range s.Lessons {
			lesson := domain.PlannedLesson{Title: l.Title, KeyTopics: l.KeyTopics}
			for _, id := range l.Sources {
				if source, ok := known[id]; ok {
					lesson.Sources = append(lesson.Sources, source)
				}
			}
			section.Lessons = append(section.Lessons, lesson)
		}
		plan.TotalLessons += len(section.Lessons)
		plan.Sections = append(plan.Sections, section)
	}
	return plan
}
