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
// are judged by name, first bytes and, where they are archives, the directory
// and what names the archive's format. DOCUMENT_TOO_LARGE past Options.MaxBytes.
func (e *Extractor) Inspect(ctx context.Context, name string, content []byte) (domain.Format, error) {
	if err := e.checkSize(content); err != nil {
		return "", err
	}
	format, err := e.detect(ctx, name, content)
	if err != nil {
		return "", err
	}
	return format, e.inspect(ctx, format, content)
}

func (e *Extractor) inspect(ctx context.Context, format domain.Format, content []byte) error {
	switch {
	case format == domain.FormatPDF:
		return e.inspectPDF(ctx, content)
	case isPacked(format):
		ctx, cancel := e.bounded(ctx)
		defer cancel()
		_, err := openAs(ctx, format, content, e.opts)
		return err
	default:
		return e.checkTextSize(content)
	}
}

// bounded ends ctx with the time for one document.
func (e *Extractor) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, e.opts.Timeout, errTooSlow)
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
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	switch format {
	case domain.FormatDOCX, domain.FormatPPTX, domain.FormatXLSX, domain.FormatODT, domain.FormatEPUB:
		return e.extractPacked(ctx, format, content)
	case domain.FormatHTML, domain.FormatMarkdown, domain.FormatText:
		return e.extractText(ctx, format, content)
	default:
	}
	return domain.Text{}, domain.Errorf(domain.ReasonUnsupportedFormat, "format %q is not one of %v", format, domain.Formats())
}

// extractPacked reads the formats that are archives.
func (e *Extractor) extractPacked(ctx context.Context, format domain.Format, content []byte) (domain.Text, error) {
	a, err := openAs(ctx, format, content, e.opts)
	if err != nil {
		return domain.Text{}, err
	}
	switch format {
	case domain.FormatPPTX:
		return extractPPTX(ctx, a, e.opts)
	case domain.FormatXLSX:
		return extractXLSX(ctx, a, content, e.opts)
	case domain.FormatODT:
		return extractODT(ctx, a, e.opts)
	case domain.FormatEPUB:
		return extractEPUB(ctx, a, e.opts)
	default:
		return extractDOCX(ctx, a, e.opts)
	}
}
