package openaigen

import (
	"errors"

	"lectern/domain"
)

// ReadAnswer reads what a model said as the answers of all tasks, and has each
// checked as they are when there are documents.
func ReadAnswer(said string) (domain.Analysis, error) {
	var plan planAnswer
	if err := readAnswer(said, &plan); err != nil {
		return domain.Analysis{}, err
	}
	known := places{"D1": {Document: "bees.pdf"}}
	if wrong := checkPlan(plan, domain.Course{}, known); len(wrong) > 0 {
		return domain.Analysis{}, errWrong
	}
	a := plan.analysis(known)
	var frame frameAnswer
	var batch lessonsAnswer
	w := &writer{analysis: a, sound: skeleton(domain.Course{Title: "Bees", Language: "en", Style: domain.StyleAcademic}, a)}
	if readAnswer(said, &frame) == nil {
		w.checkFrame(frame)
	}
	if readAnswer(said, &batch) == nil {
		w.checkLessons(batches(a)[0], batch)
	}
	return a, nil
}

var errWrong = errors.New("the plan is wrong")
