package textextract

import (
	"context"

	"lectern/domain"
)

// extractDOCX reads a Word document's text: without headers, footers, notes,
// comments, deletions and the table of contents.
func extractDOCX(ctx context.Context, a *archive, o Options) (domain.Text, error) {
	styles := docxStyles{}
	if err := a.read(ctx, a.styles(), styles.read); err != nil {
		return domain.Text{}, err
	}
	body := docxBody{styles: styles, budget: budget{limit: o.MaxTextBytes}}
	if err := a.read(ctx, a.main, body.read); err != nil {
		return domain.Text{}, err
	}
	if body.title == "" {
		property, err := a.property(ctx)
		if err != nil {
			return domain.Text{}, err
		}
		body.title = body.out.title(property)
	}
	return domain.Text{Title: body.title, Blocks: body.out}, nil
}
