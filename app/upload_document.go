package app

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"lectern/domain"
)

// UploadDocument adds a file to a pending course. The same file again is the
// same document. A file that can't be read is refused, and nothing is kept.
func (s *CourseService) UploadDocument(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, name string, content []byte,
) (domain.Document, error) {
	name, err := domain.CleanFileName(name)
	if err != nil {
		return domain.Document{}, err
	}
	if err := s.checkSize(name, content); err != nil {
		return domain.Document{}, err
	}
	course, err := s.Courses.Get(ctx, caller, courseID)
	if err != nil {
		return domain.Document{}, err
	}
	format, err := s.Extractor.Inspect(ctx, name, content)
	if err != nil {
		return domain.Document{}, err
	}
	return s.storeDocument(ctx, caller, course.ID, name, format, content)
}

func (s *CourseService) checkSize(name string, content []byte) error {
	switch {
	case len(content) == 0:
		return domain.Invalid("content", "%s is empty", name)
	case int64(len(content)) > s.MaxDocumentBytes:
		return &domain.Error{
			Reason: domain.ReasonDocumentTooLarge, Field: "content",
			Message: name + " is larger than the limit: split it, or raise documents.max_bytes",
		}
	}
	return nil
}

// storeDocument writes the bytes before the row: a crash in between leaves
// bytes that no row names, never a row without bytes.
func (s *CourseService) storeDocument(
	ctx context.Context, caller domain.Identity, courseID uuid.UUID, name string, format domain.Format, content []byte,
) (domain.Document, error) {
	id, err := s.NewID()
	if err != nil {
		return domain.Document{}, err
	}
	key := courseID.String() + "/" + id.String()
	size, sha256, err := s.Blobs.Put(ctx, key, bytes.NewReader(content), s.MaxDocumentBytes)
	if err != nil {
		return domain.Document{}, err
	}
	doc, err := domain.NewDocument(id, courseID, name, format, size, sha256, key)
	if err == nil {
		doc, err = s.Courses.AddDocument(ctx, caller, doc)
	}
	if err != nil || doc.ID != id {
		// Refused, or known already under its first id: the bytes just
		// written belong to nobody. The context may be what failed.
		if cleanErr := s.Blobs.Delete(context.WithoutCancel(ctx), key); cleanErr != nil {
			s.Log.WarnContext(ctx, "delete unused blob", "key", key, "error", cleanErr)
		}
	}
	return doc, err
}
