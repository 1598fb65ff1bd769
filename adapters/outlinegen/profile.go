package outlinegen

import (
	"errors"
	"fmt"
	"strings"

	"lectern/domain"
)

// profile is what a style asks for in any language.
type profile struct {
	LessonWords  int      `yaml:"lesson_words"`  // of the source, for a lesson
	TitleLessons int      `yaml:"title_lessons"` // of a course with nothing but a title
	Minutes      [2]int   `yaml:"minutes"`       // the shortest and the longest lesson
	Sentences    int      `yaml:"sentences"`     // of the source, in a lesson's text
	Objectives   []string `yaml:"objectives"`    // Bloom's levels of a lesson's objectives
	Exercises    []string `yaml:"exercises"`     // kinds, taken in turn
	PerLesson    int      `yaml:"per_lesson"`    // exercises
}

// loadProfiles parses the styles' profiles and checks that every style is
// there and worded in full in the languages that are.
func loadProfiles(l languages) (map[domain.Style]profile, error) {
	profiles := map[domain.Style]profile{}
	if err := decode("", "profiles", nil, &profiles); err != nil {
		return nil, err
	}
	for _, style := range domain.Styles() {
		p, ok := profiles[style]
		if !ok {
			return nil, fmt.Errorf("find profile of style %s: none in profiles.yaml", style)
		}
		for lang, loc := range l.locales {
			if err := loc.covers(style, p); err != nil {
				return nil, fmt.Errorf("word style %s in %s: %w", style, lang, err)
			}
		}
	}
	return profiles, nil
}

// covers reports what a wording lacks for a style.
func (l *locale) covers(style domain.Style, p profile) error {
	if !enoughRecipes(l.Recipes) {
		return errors.New("parse recipes.yaml: too few recipes to make a course")
	}
	t := l.style(style)
	if len(t.About) == 0 || t.Assessment == "" || !strings.Contains(t.Section+t.Lesson, "{title}") {
		return fmt.Errorf("parse styles.yaml: %s needs section, lesson, about and assessment", style)
	}
	for _, level := range p.Objectives {
		if len(l.Texts.Bloom[level]) == 0 {
			return fmt.Errorf("parse texts.yaml: no objectives of level %q", level)
		}
	}
	for _, kind := range p.Exercises {
		if len(l.Exercises[kind]) == 0 && len(l.Exercises["default"]) == 0 {
			return fmt.Errorf("parse exercises.yaml: no exercise of kind %q", kind)
		}
	}
	return nil
}
