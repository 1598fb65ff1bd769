package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"lectern/domain"
)

const selectDocument = `
	select document_id, entity_id, name, format, size_bytes, sha256, blob_key, status, coalesce(error, ''), created_at `

// AddDocument implements ports.Courses.
func (s *Courses) AddDocument(ctx context.Context, caller domain.Identity, d domain.Document) (domain.Document, error) {
	var id uuid.UUID
	err := s.pool.QueryRow(ctx, `select lectern.add_document($1, $2, $3, $4, $5, $6, $7, $8)`,
		d.ID, d.CourseID, caller.OrganizationID, d.Name, string(d.Format), d.Size, d.SHA256, d.BlobKey).Scan(&id)
	if err != nil {
		return domain.Document{}, fmt.Errorf("add document: %w", asDomain(err))
	}
	docs, err := s.documents(ctx, caller, `where document_id = $1`, id)
	if err != nil || len(docs) == 0 {
		return domain.Document{}, fmt.Errorf("read added document: %w", err)
	}
	return docs[0], nil
}

// Documents implements ports.Courses.
func (s *Courses) Documents(ctx context.Context, caller domain.Identity, courseID uuid.UUID) ([]domain.Document, error) {
	docs, err := s.documents(ctx, caller, `where entity_id = $1 order by position`, courseID)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	return docs, nil
}

func (s *Courses) documents(ctx context.Context, caller domain.Identity, where string, id uuid.UUID) ([]domain.Document, error) {
	var found []domain.Document
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(selectDocument+`from lectern.documents `+where, id).Query(collect(&found, func(row pgx.CollectableRow) (domain.Document, error) {
			var d domain.Document
			return d, row.Scan(documentFields(&d)...)
		}))
	})
	return found, err
}

func documentFields(d *domain.Document) []any {
	return []any{
		&d.ID, &d.CourseID, &d.Name, &d.Format, &d.Size, &d.SHA256, &d.BlobKey, &d.Status, &d.Error, &d.CreatedAt,
	}
}
