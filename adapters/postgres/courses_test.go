package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/domain"
)

func TestCreateWithAKeyMakesOneCourse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fp := domain.Fingerprint(strings.Repeat("b", 64))
	create := func(fp domain.Fingerprint) (domain.Course, error) {
		c, err := domain.NewCourse(newID(t), b.caller, "A course", "ru", domain.StyleAcademic, domain.Settings{Lessons: 25})
		require.NoError(t, err)
		return b.courses.Create(t.Context(), c, "create-it", fp)
	}
	first, err := create(fp)
	require.NoError(t, err)
	require.Equal(t, 25, first.Settings.Lessons)
	require.Equal(t, domain.PipelineAutomatic, first.Settings.Pipeline)
	again, err := create(fp)
	require.NoError(t, err)
	require.Equal(t, first, again)
	_, err = create(domain.Fingerprint(strings.Repeat("c", 64)))
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonIdempotencyReuse})
}

func TestListPagesFromTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made []uuid.UUID
	for range 5 {
		made = append([]uuid.UUID{b.course(t).ID}, made...)
	}
	var listed []uuid.UUID
	before := uuid.Nil
	for {
		page, err := b.courses.List(t.Context(), b.caller, before, 2)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			listed = append(listed, c.ID)
		}
		before = page[len(page)-1].ID
	}
	require.Equal(t, made, listed)
}

func TestSameFileTwiceIsOneDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	first, second := b.document(t, c, "a.md"), b.document(t, c, "a.md")
	require.Equal(t, first.ID, second.ID)
	b.document(t, c, "b.md")
	docs, err := b.courses.Documents(t.Context(), b.caller, c.ID)
	require.NoError(t, err)
	require.Len(t, docs, 2)
}

func TestDocumentsAreTakenWhilePending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.course(t)
	b.start(t, c, domain.StateStage4Init)
	d, err := domain.NewDocument(newID(t), c.ID, "late.md", domain.FormatMarkdown, 3, strings.Repeat("0", 64), "key")
	require.NoError(t, err)
	_, err = b.courses.AddDocument(t.Context(), b.caller, d)
	require.ErrorIs(t, err, &domain.Error{Reason: domain.ReasonNotPending})
}
