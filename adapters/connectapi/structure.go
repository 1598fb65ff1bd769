package connectapi

import (
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// StructureToProto turns a finished course into its message; nil stays nil.
func StructureToProto(s *domain.Structure) *lecternv1.Structure {
	if s == nil {
		return nil
	}
	return &lecternv1.Structure{
		CourseTitle:            s.Title,
		CourseDescription:      s.Description,
		CourseOverview:         s.Overview,
		TargetAudience:         s.TargetAudience,
		EstimatedDurationHours: s.DurationHours,
		DifficultyLevel:        DifficultyToProto(s.Difficulty),
		Prerequisites:          s.Prerequisites,
		LearningOutcomes:       s.LearningOutcomes,
		AssessmentStrategy:     s.AssessmentStrategy,
		CourseTags:             s.Tags,
		Sections:               each(s.Sections, sectionToProto),
		Language:               s.Language,
		Style:                  StyleToProto(s.Style),
	}
}

// StructureFromProto turns the message back into the finished course, whose
// JSON is the documented one; nil stays nil. Lists that JSON always shows are
// never nil.
func StructureFromProto(s *lecternv1.Structure) *domain.Structure {
	if s == nil {
		return nil
	}
	return &domain.Structure{
		Title:              s.GetCourseTitle(),
		Description:        s.GetCourseDescription(),
		Overview:           s.GetCourseOverview(),
		TargetAudience:     s.GetTargetAudience(),
		DurationHours:      s.GetEstimatedDurationHours(),
		Difficulty:         DifficultyFromProto(s.GetDifficultyLevel()),
		Prerequisites:      list(s.GetPrerequisites()),
		LearningOutcomes:   list(s.GetLearningOutcomes()),
		AssessmentStrategy: s.GetAssessmentStrategy(),
		Tags:               list(s.GetCourseTags()),
		Sections:           list(each(s.GetSections(), sectionFromProto)),
		Language:           s.GetLanguage(),
		Style:              StyleFromProto(s.GetStyle()),
	}
}

func sectionToProto(s domain.Section) *lecternv1.Section {
	return &lecternv1.Section{
		SectionNumber:            int32(s.Number),
		SectionTitle:             s.Title,
		SectionDescription:       s.Description,
		LearningObjectives:       s.LearningObjectives,
		EstimatedDurationMinutes: int32(s.DurationMinutes),
		Lessons:                  each(s.Lessons, lessonToProto),
	}
}

func sectionFromProto(s *lecternv1.Section) domain.Section {
	return domain.Section{
		Number:             int(s.GetSectionNumber()),
		Title:              s.GetSectionTitle(),
		Description:        s.GetSectionDescription(),
		LearningObjectives: list(s.GetLearningObjectives()),
		DurationMinutes:    int(s.GetEstimatedDurationMinutes()),
		Lessons:            list(each(s.GetLessons(), lessonFromProto)),
	}
}

func lessonToProto(l domain.Lesson) *lecternv1.Lesson {
	return &lecternv1.Lesson{
		LessonNumber:             int32(l.Number),
		LessonTitle:              l.Title,
		LessonObjectives:         l.Objectives,
		KeyTopics:                l.KeyTopics,
		ContentSummary:           l.Content,
		EstimatedDurationMinutes: int32(l.DurationMinutes),
		PracticalExercises:       each(l.Exercises, exerciseToProto),
		Sources:                  each(l.Sources, sourceToProto),
	}
}

func lessonFromProto(l *lecternv1.Lesson) domain.Lesson {
	return domain.Lesson{
		Number:          int(l.GetLessonNumber()),
		Title:           l.GetLessonTitle(),
		Objectives:      list(l.GetLessonObjectives()),
		KeyTopics:       list(l.GetKeyTopics()),
		Content:         l.GetContentSummary(),
		DurationMinutes: int(l.GetEstimatedDurationMinutes()),
		Exercises:       list(each(l.GetPracticalExercises(), exerciseFromProto)),
		Sources:         each(l.GetSources(), sourceFromProto),
	}
}

func exerciseToProto(e domain.Exercise) *lecternv1.Exercise {
	return &lecternv1.Exercise{ExerciseType: e.Type, ExerciseTitle: e.Title, ExerciseDescription: e.Description}
}

func exerciseFromProto(e *lecternv1.Exercise) domain.Exercise {
	return domain.Exercise{Type: e.GetExerciseType(), Title: e.GetExerciseTitle(), Description: e.GetExerciseDescription()}
}

func sourceToProto(s domain.Source) *lecternv1.Source {
	return &lecternv1.Source{Document: s.Document, Heading: s.Heading, Page: int32(s.Page)}
}

func sourceFromProto(s *lecternv1.Source) domain.Source {
	return domain.Source{Document: s.GetDocument(), Heading: s.GetHeading(), Page: int(s.GetPage())}
}

// each returns what f makes of each item; of none, nil.
func each[A, B any](items []A, f func(A) B) []B {
	if len(items) == 0 {
		return nil
	}
	made := make([]B, len(items))
	for i, item := range items {
		made[i] = f(item)
	}
	return made
}

// list returns items, empty instead of nil: JSON shows [] and not null.
func list[A any](items []A) []A {
	if items == nil {
		return []A{}
	}
	return items
}
