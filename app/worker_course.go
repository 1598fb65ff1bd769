package app

import (
	"context"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"lectern/domain"
)

// summarize is stage 3: a summary and the key phrases of each document.
func (w *Workers) summarize(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	used := domain.UsageOf(c.Metadata)
	_, step, err := w.sources(ctx, d.CourseID, &used)
	if err != nil {
		return step, err
	}
	step.OnLast, err = w.onward(c, domain.QueueStructureAnalysis, domain.StateStage3Complete, domain.StateStage4Init)
	return step, err
}

// sources returns the documents that could be read, each with its summary, and
// a step with those summaries that are new, and what they used: a course whose
// caller went past stage 3 gets them in a later one. The step holds what there
// is also when one fails.
func (w *Workers) sources(ctx context.Context, courseID uuid.UUID, used *domain.Usage) ([]domain.Document, domain.Step, error) {
	var step domain.Step
	docs, err := w.readable(ctx, courseID)
	if err != nil {
		return nil, step, err
	}
	for i, doc := range docs {
		if doc.Summary != nil {
			continue
		}
		summary, err := w.Generator.Summarize(ctx, *doc.Text, used)
		step.Metadata = used.Metadata()
		if err != nil {
			return nil, step, fmt.Errorf("summarize %s: %w", doc.Name, err)
		}
		docs[i].Summary = &summary
		step.Documents = append(step.Documents, domain.DocumentResult{ID: doc.ID, Status: doc.Status, Summary: &summary})
	}
	return docs, step, nil
}

// analyze is stage 4: the plan of the course.
func (w *Workers) analyze(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	used := domain.UsageOf(c.Metadata)
	docs, step, err := w.sources(ctx, d.CourseID, &used)
	if err != nil {
		return step, err
	}
	if _, err := w.plan(ctx, c, docs, &used, &step); err != nil {
		return step, err
	}
	step.OnLast, err = w.onward(c, domain.QueueStructureGeneration, domain.StateStage4Complete, domain.StateStage5Init)
	return step, err
}

// plan has the course planned, and puts the plan and what it used into the step.
func (w *Workers) plan(
	ctx context.Context, c domain.Course, docs []domain.Document, used *domain.Usage, step *domain.Step,
) (domain.Analysis, error) {
	analysis, err := w.Generator.Analyze(ctx, c, docs, used)
	step.Metadata = used.Metadata()
	if err != nil {
		return domain.Analysis{}, fmt.Errorf("analyze course: %w", err)
	}
	step.Analysis = &analysis
	return analysis, nil
}

// generate is stage 5: the course itself. Without an analysis, as when the
// caller asked for this stage alone, it plans first.
func (w *Workers) generate(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	used := domain.UsageOf(c.Metadata)
	docs, step, err := w.sources(ctx, d.CourseID, &used)
	if err != nil {
		return step, err
	}
	if c.Analysis == nil {
		analysis, err := w.plan(ctx, c, docs, &used, &step)
		if err != nil {
			return step, err
		}
		c.Analysis = &analysis
	}
	structure, err := w.Generator.Generate(ctx, c, *c.Analysis, docs, &used)
	step.Metadata = used.Metadata()
	if err == nil {
		structure, err = domain.NewStructure(structure)
	}
	if err != nil {
		return step, fmt.Errorf("generate course: %w", err)
	}
	step.Structure = &structure
	step.Metadata = map[string]any{
		"generator": w.Generator.Name(), "documents": len(docs),
		"sections": len(structure.Sections), "lessons": structure.LessonCount(),
	}
	maps.Copy(step.Metadata, used.Metadata())
	step.OnLast.States = []domain.State{domain.StateStage5Complete, domain.StateFinalizing, domain.StateCompleted}
	return step, nil
}
