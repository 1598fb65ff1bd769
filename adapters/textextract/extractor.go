package textextract

import (
	"context"
	"fmt"

	"lectern/domain"
	"lectern/ports"
)

var _ ports.Extractor = (*Extractor)(nil)

// Extractor reads text from documents. It is safe for concurrent use.
type Extractor struct {
	opts Options
	pdf  *pdfEngines
}

// New makes an extractor. It starts nothing: the PDF reader is started by the
// first PDF, and runs until Close.
func New(o Options) *Extractor {
	o = o.withDefaults()
	return &Extractor{opts: o, pdf: newPDFEngines(o)}
}

// Close interrupts what is being read and stops the PDF reader. Calling it
// again does nothing; the extractor is of no more use.
func (e *Extractor) Close() error {
	if err := e.pdf.close(); err != nil {
		return fmt.Errorf("stop the PDF reader: %w", err)
	}
	return nil
}

// Inspect implements [ports.Extractor]. A PDF is opened, the other formats
// are judged by name, first bytes and, for DOCX, the archive's directory.
// DOCUMENT_TOO_LARGE past Options.MaxBytes.
func (e *Extractor) Inspect(ctx context.Context, name string, content []byte) (domain.Format, error) {
	if err := e.checkSize(content); err != nil {
		return "", err
	}
	format, err := e.detect(name, content)
	if err != nil {
		return "", err
	}
	return format, e.inspect(ctx, format, content)
}

func (e *Extractor) inspect(ctx context.Context, format domain.Format, content []byte) error {
	switch format {
	case domain.FormatPDF:
		return e.inspectPDF(ctx, content)
	case domain.FormatDOCX:
		_, err := openDOCX(content, e.opts) //nolint:contextcheck // it reads the archive's directory alone, which is bounded
		return err
	default:
		return e.checkTextSize(format, content)
	}
}

// Extract implements [ports.Extractor].
func (e *Extractor) Extract(ctx context.Context, format domain.Format, content []byte) (domain.Text, error) {
	if err := e.checkSize(content); err != nil {
		return domain.Text{}, err
	}
	text, err := e.extract(ctx, format, content)
	if err != nil {
		return domain.Text{}, err
	}
	if len(text.Blocks) == 0 {
		return domain.Text{}, unreadable("there is no text in this document")
	}
	if blocks(text.Blocks).size() > e.opts.MaxTextBytes {
		return domain.Text{}, tooMuchText(e.opts.MaxTextBytes)
	}
	return text, nil
}

func (e *Extractor) extract(ctx context.Context, format domain.Format, content []byte) (domain.Text, error) {
	if format == domain.FormatPDF {
		return e.extractPDF(ctx, content)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.opts.Timeout, errTooSlow)
	defer cancel()
	switch format {
	case domain.FormatDOCX:
		return extractDOCX(ctx, content, e.opts)
	case domain.FormatHTML, domain.FormatMarkdown, domain.FormatText:
		return e.extractText(ctx, format, content)
	default:
	}
	return domain.Text{}, domain.Errorf(domain.ReasonUnsupportedFormat, "format %q is not one of %v", format, domain.Formats())
}
