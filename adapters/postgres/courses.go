package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Courses = (*Courses)(nil)

// Courses implements ports.Courses as the role lectern_app.
type Courses struct{ pool *pgxpool.Pool }

// NewCourses makes the store of courses on a pool of lectern_app.
func NewCourses(pool *pgxpool.Pool) *Courses { return &Courses{pool} }

const selectCourse = `
	select id, organization_id, user_id, title, slug, language, style, settings, generation_status,
	       status_version, run, analysis_result, course_structure, generation_metadata, created_at, updated_at
	from lectern.courses `

func scanCourse(row pgx.CollectableRow) (domain.Course, error) {
	var c domain.Course
	err := row.Scan(&c.ID, &c.Owner.OrganizationID, &c.Owner.UserID, &c.Title, &c.Slug, &c.Language, &c.Style, &c.Settings,
		&c.State, &c.Version, &c.Run, &c.Analysis, &c.Structure, &c.Metadata, &c.CreatedAt, &c.UpdatedAt)
	if err != nil {
		return c, err
	}
	return stored(c, c.Validate())
}

// stored takes what a constructor makes of a row. A row that breaks a rule is
// not its reader's fault: the error has the field's name, and no reason.
func stored[T any](v T, err error) (T, error) {
	if err != nil {
		return v, fmt.Errorf("check stored %T: %s", v, err.Error())
	}
	return v, nil
}

// Create implements ports.Courses.
func (s *Courses) Create(ctx context.Context, c domain.Course, key domain.IdempotencyKey, fp domain.Fingerprint) (domain.Course, error) {
	var id uuid.UUID
	err := s.pool.QueryRow(ctx, `select lectern.create_course($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''), $10)`,
		c.ID, c.Owner.UserID, c.Owner.OrganizationID, c.Title, c.Slug, c.Language, string(c.Style), c.Settings,
		string(key), string(fp)).Scan(&id)
	if err != nil {
		return domain.Course{}, fmt.Errorf("create course: %w", asDomain(err))
	}
	return s.Get(ctx, c.Owner, id)
}

// Get implements ports.Courses.
func (s *Courses) Get(ctx context.Context, caller domain.Identity, id uuid.UUID) (domain.Course, error) {
	var found []domain.Course
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(selectCourse+`where id = $1`, id).Query(collect(&found, scanCourse))
	})
	switch {
	case err != nil:
		return domain.Course{}, fmt.Errorf("get course: %w", err)
	case len(found) == 0:
		return domain.Course{}, domain.Errorf(domain.ReasonCourseNotFound, "there is no course %s", id)
	}
	return found[0], nil
}

// List implements ports.Courses.
func (s *Courses) List(ctx context.Context, caller domain.Identity, before uuid.UUID, limit int) ([]domain.Course, error) {
	var found []domain.Course
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(selectCourse+`where organization_id = $1 and ($2::uuid = $3 or id < $2) order by id desc limit $4`,
			caller.OrganizationID, before, uuid.Nil, limit).Query(collect(&found, scanCourse))
	})
	if err != nil {
		return nil, fmt.Errorf("list courses: %w", err)
	}
	return found, nil
}

// Events implements ports.Courses.
func (s *Courses) Events(ctx context.Context, caller domain.Identity, id uuid.UUID, after int64, limit int) ([]domain.Event, error) {
	var found []domain.Event
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select event_id, entity_id, event_no, event_type, event_data, created_at, created_by, user_id
			from lectern.course_events($1, $2, $3)`, id, after, limit).Query(collect(&found, scanEvent))
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return found, nil
}

func scanEvent(row pgx.CollectableRow) (domain.Event, error) {
	var e domain.Event
	err := row.Scan(&e.ID, &e.CourseID, &e.No, &e.Type, &e.Data, &e.CreatedAt, &e.CreatedBy, &e.UserID)
	if err != nil {
		return e, err
	}
	return stored(domain.NewEvent(e))
}

// Entries implements ports.Courses.
func (s *Courses) Entries(ctx context.Context, caller domain.Identity, id uuid.UUID) ([]domain.OutboxEntry, error) {
	var found []domain.OutboxEntry
	err := asTenant(ctx, s.pool, caller, func(b *pgx.Batch) {
		b.Queue(`select `+entryColumns+` from lectern.outbox_entries($1)`, id).Query(collect(&found, scanCheckedEntry))
	})
	if err != nil {
		return nil, fmt.Errorf("read outbox entries: %w", err)
	}
	return found, nil
}

// collect returns a batch callback that scans every row into dst.
func collect[T any](dst *[]T, scan pgx.RowToFunc[T]) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var err error
		*dst, err = pgx.CollectRows(rows, scan)
		return err
	}
}
