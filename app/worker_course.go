package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"lectern/domain"
)

// summarize is stage 3: a summary and the key phrases of each document.
func (w *Workers) summarize(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	_, results, err := w.sources(ctx, d.CourseID)
	if err != nil {
		return domain.Step{}, err
	}
	onward, err := w.onward(c, domain.QueueStructureAnalysis, domain.StateStage3Complete, domain.StateStage4Init)
	return domain.Step{Documents: results, OnLast: onward}, err
}

// sources returns the documents that could be read, each with its summary, and
// those summaries that are new and to be stored: a course whose caller went
// past stage 3 gets them in a later one.
func (w *Workers) sources(ctx context.Context, courseID uuid.UUID) ([]domain.Document, []domain.DocumentResult, error) {
	docs, err := w.readable(ctx, courseID)
	if err != nil {
		return nil, nil, err
	}
	var results []domain.DocumentResult
	for i, doc := range docs {
		if doc.Summary != nil {
			continue
		}
		summary, err := w.Generator.Summarize(ctx, *doc.Text)
		if err != nil {
			return nil, nil, fmt.Errorf("summarize %s: %w", doc.Name, err)
		}
		docs[i].Summary = &summary
		results = append(results, domain.DocumentResult{ID: doc.ID, Status: doc.Status, Summary: &summary})
	}
	return docs, results, nil
}

// analyze is stage 4: the plan of the course.
func (w *Workers) analyze(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	docs, results, err := w.sources(ctx, d.CourseID)
	if err != nil {
		return domain.Step{}, err
	}
	analysis, err := w.Generator.Analyze(ctx, c, docs)
	if err != nil {
		return domain.Step{}, fmt.Errorf("analyze course: %w", err)
	}
	onward, err := w.onward(c, domain.QueueStructureGeneration, domain.StateStage4Complete, domain.StateStage5Init)
	return domain.Step{Documents: results, Analysis: &analysis, OnLast: onward}, err
}

// generate is stage 5: the course itself. Without an analysis, as when the
// caller asked for this stage alone, it plans first.
func (w *Workers) generate(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	docs, results, err := w.sources(ctx, d.CourseID)
	if err != nil {
		return domain.Step{}, err
	}
	step := domain.Step{Documents: results, OnLast: domain.Onward{
		States: []domain.State{domain.StateStage5Complete, domain.StateFinalizing, domain.StateCompleted},
	}}
	if c.Analysis == nil {
		analysis, err := w.Generator.Analyze(ctx, c, docs)
		if err != nil {
			return domain.Step{}, fmt.Errorf("analyze course: %w", err)
		}
		c.Analysis, step.Analysis = &analysis, &analysis
	}
	structure, err := w.Generator.Generate(ctx, c, *c.Analysis, docs)
	if err != nil {
		return domain.Step{}, fmt.Errorf("generate course: %w", err)
	}
	if structure, err = domain.NewStructure(structure); err != nil {
		return domain.Step{}, fmt.Errorf("generate course: %w", err)
	}
	step.Structure = &structure
	step.Metadata = map[string]any{
		"generator": w.Generator.Name(), "documents": len(docs),
		"sections": len(structure.Sections), "lessons": structure.LessonCount(),
	}
	return step, nil
}
