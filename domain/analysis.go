package domain

import (
	"cmp"
	"fmt"
)

// Validate checks every rule of a plan that a course can be written from, and
// returns the first that is broken, naming the field.
func (a Analysis) Validate() error {
	err := cmp.Or(
		count("topics", a.Topics, 1, 50),
		runes("target_audience", a.TargetAudience, 1, 1000),
		a.Difficulty.validate(),
		checkBetween("total_lessons", a.TotalLessons, MinLessons, MaxLessons),
	)
	if err != nil {
		return err
	}
	lessons := 0
	for i, s := range a.Sections {
		if err := s.validate(); err != nil {
			return Within(fmt.Sprintf("sections[%d]", i), err)
		}
		lessons += len(s.Lessons)
	}
	return checkBetween("total_lessons", a.TotalLessons, lessons, lessons)
}

func (s PlannedSection) validate() error {
	if err := runes("title", s.Title, 1, 500); err != nil {
		return err
	}
	if len(s.Lessons) == 0 {
		return Invalid("lessons", "must have at least 1")
	}
	for i, l := range s.Lessons {
		if err := l.validate(); err != nil {
			return Within(fmt.Sprintf("lessons[%d]", i), err)
		}
	}
	return nil
}

func (l PlannedLesson) validate() error {
	err := cmp.Or(
		runes("title", l.Title, 1, 500),
		count("key_topics", l.KeyTopics, 0, 10),
	)
	if err != nil {
		return err
	}
	for i, s := range l.Sources {
		if err := s.validate(); err != nil {
			return Within(fmt.Sprintf("sources[%d]", i), err)
		}
	}
	return nil
}
