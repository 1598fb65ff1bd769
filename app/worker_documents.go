package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"lectern/domain"
)

// processDocument is stage 2: the text of one document, and its chunks. A
// document that can't be read is recorded by name; the course goes on without
// it. The last document's job begins stage 3.
func (w *Workers) processDocument(ctx context.Context, d domain.Delivery, c domain.Course) (domain.Step, error) {
	doc, err := w.documentOf(ctx, d)
	if err != nil {
		return domain.Step{}, err
	}
	result, err := w.readDocument(ctx, d, doc)
	if err != nil {
		return domain.Step{}, err
	}
	onward, err := w.onward(c, domain.QueueSummarization, domain.StateStage2Complete, domain.StateStage3Init)
	return domain.Step{Documents: []domain.DocumentResult{result}, OnLast: onward}, err
}

func (w *Workers) documentOf(ctx context.Context, d domain.Delivery) (domain.Document, error) {
	if d.Data.DocumentID == nil {
		return domain.Document{}, permanentf("the job names no document_id")
	}
	doc, err := w.Steps.SourceDocument(ctx, d.CourseID, *d.Data.DocumentID)
	if domain.ReasonOf(err) == domain.ReasonDocumentNotFound {
		return domain.Document{}, &permanentError{err}
	}
	return doc, err
}

// readDocument returns what a document holds, or that it can't be read. Its
// error is one that may pass.
func (w *Workers) readDocument(ctx context.Context, d domain.Delivery, doc domain.Document) (domain.DocumentResult, error) {
	content, err := w.Blobs.Get(ctx, doc.BlobKey)
	var text domain.Text
	if err == nil {
		text, err = w.extract(ctx, d, doc.Format, content)
	}
	var refused *domain.Error
	switch {
	case errors.As(err, &refused) && refused.Reason != domain.ReasonUnavailable:
		return domain.DocumentResult{ID: doc.ID, Status: domain.DocumentFailed, Error: refused.Message}, nil
	case err != nil:
		return domain.DocumentResult{}, fmt.Errorf("read %s: %w", doc.Name, err)
	}
	return domain.DocumentResult{
		ID: doc.ID, Status: domain.DocumentProcessed, Text: &text,
		Chunks: domain.Chunks(text, domain.ChunkWords, domain.ChunkOverlap),
	}, nil
}

// extract reads a text. A document that breaks the reader is one that can't be
// read, and takes no course along.
func (w *Workers) extract(ctx context.Context, d domain.Delivery, format domain.Format, content []byte) (text domain.Text, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked(ctx, d, r)
			err = domain.Errorf(domain.ReasonDocumentUnreadable, "the reader broke on it: save it anew, or as another format")
		}
	}()
	return w.Extractor.Extract(ctx, format, content)
}

// onward is how a course goes on after a stage: through complete to the next
// stage's init with its one job, or, when the caller commands each stage, to
// complete alone.
func (w *Workers) onward(c domain.Course, queue domain.Queue, complete, next domain.State) (domain.Onward, error) {
	if c.Settings.Pipeline == domain.PipelineManual {
		return domain.Onward{States: []domain.State{complete}}, nil
	}
	jobs, err := pipelineJobs(w.NewID, queue, domain.JobData{CourseID: c.ID})
	return domain.Onward{States: []domain.State{complete, next}, Jobs: jobs}, err
}

// readable returns the documents that could be read. When there are documents
// and none could be, the error names them all: a course from the title alone
// is not what the author asked for.
func (w *Workers) readable(ctx context.Context, courseID uuid.UUID) ([]domain.Document, error) {
	docs, err := w.Steps.SourceDocuments(ctx, courseID)
	if err != nil {
		return nil, err
	}
	var good []domain.Document
	var bad []string
	for _, d := range docs {
		if d.Status == domain.DocumentProcessed && d.Text != nil {
			good = append(good, d)
		} else {
			bad = append(bad, fmt.Sprintf("%s (%s)", d.Name, cmp.Or(d.Error, "not read yet: begin with document-processing")))
		}
	}
	if len(good) == 0 && len(bad) > 0 {
		return nil, permanentf("none of the documents could be read: %s", strings.Join(bad, ", "))
	}
	return good, nil
}
