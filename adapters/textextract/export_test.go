package textextract

import (
	"context"

	"github.com/klippa-app/go-pdfium"
)

// Hang occupies the PDF reader until it is interrupted, as a document without
// end would. started is closed once it has the reader.
func (e *Extractor) Hang(ctx context.Context, content []byte, started chan<- struct{}) error {
	return e.pdf.use(ctx, func(instance pdfium.Pdfium) error {
		doc, err := openPDF(instance, content, e.opts.MaxPages)
		if err != nil {
			return err
		}
		close(started)
		for {
			if _, _, err := doc.readPage(0); err != nil {
				return err
			}
		}
	})
}
