package openaigen

import (
	"context"
	"fmt"
	"math"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"lectern/domain"
)

// lessonsPerCall is how many lessons are written in one answer: few enough for
// it not to be cut off.
const lessonsPerCall = 4

// writer writes one course.
type writer struct {
	*session
	course   domain.Course
	analysis domain.Analysis
	docs     []domain.Document
	sound    domain.Structure // the plan with filled-in texts: see skeleton
}

// write has the frame and the lessons written, several calls at once.
func (s *session) write(ctx context.Context, c domain.Course, a domain.Analysis, docs []domain.Document) (domain.Structure, error) {
	w := &writer{session: s, course: c, analysis: a, docs: docs, sound: skeleton(c, a)}
	var frame domain.Structure
	lessons := make([]domain.Lesson, a.TotalLessons)
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(s.opts.Concurrency)
	calls.Go(guarded(func() (err error) {
		frame, err = w.frame(ctx)
		return err
	}))
	for _, b := range batches(a) {
		calls.Go(guarded(func() error {
			written, err := w.lessons(ctx, b)
			copy(lessons[b.first:], written)
			return err
		}))
	}
	if err := calls.Wait(); err != nil {
		return domain.Structure{}, err
	}
	whole := join(frame, lessons)
	return whole, whole.Validate()
}

// guarded makes a panic an error: nobody could recover from it in another
// goroutine, and it would end the process.
func guarded(call func() error) func() error {
	return func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("a fault of the generator: %T", r)
			}
		}()
		return call()
	}
}

// batch is lessons of a section that are written together.
type batch struct {
	section       int
	first         int // of all lessons, from 0
	begin, length int // within the section
}

// batches are of about the same length within a section.
func batches(a domain.Analysis) []batch {
	var all []batch
	first := 0
	for i, s := range a.Sections {
		n := len(s.Lessons)
		calls := (n + lessonsPerCall - 1) / lessonsPerCall
		for k := range calls {
			begin, end := k*n/calls, (k+1)*n/calls
			all = append(all, batch{section: i, first: first + begin, begin: begin, length: end - begin})
		}
		first += n
	}
	return all
}

// join puts lessons into their sections, and adds up how long they take.
func join(frame domain.Structure, lessons []domain.Lesson) domain.Structure {
	minutes, first := 0, 0
	for i := range frame.Sections {
		s := &frame.Sections[i]
		n := len(s.Lessons)
		s.Lessons = lessons[first : first+n]
		first += n
		s.DurationMinutes = 0
		for _, l := range s.Lessons {
			s.DurationMinutes += l.DurationMinutes
		}
		minutes += s.DurationMinutes
	}
	frame.DurationHours = max(math.Round(float64(minutes)/6)/10, 0.1)
	return frame
}

// shortestTitle is the least a course's title may have.
const shortestTitle = 10

// title is the author's, unless it is too short for a course's.
func (w *writer) title(offered string) string {
	if utf8.RuneCountInString(w.course.Title) >= shortestTitle {
		return w.course.Title
	}
	return offered
}
