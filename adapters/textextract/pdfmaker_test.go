package textextract_test

import (
	"bytes"
	"fmt"
	"strings"
)

// The fonts of a drawn page.
const (
	regular = "F1"
	bold    = "F2"
)

// drawing is a page of 400 by 600 points being drawn.
type drawing struct{ bytes.Buffer }

// at draws text at a place, in points from the lower left corner.
func (d *drawing) at(x, y float64, font string, size float64, text string) {
	d.turned("1 0 0 1", x, y, font, size, text)
}

// turned draws text through the first four numbers of a matrix.
func (d *drawing) turned(matrix string, x, y float64, font string, size float64, text string) {
	escaped := strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(text)
	_, _ = fmt.Fprintf(d, "BT /%s %g Tf %s %g %g Tm (%s) Tj ET\n", font, size, matrix, x, y, escaped) // a buffer takes all
}

// lines draws lines of the body's size below each other, and returns where the
// next would stand.
func (d *drawing) lines(x, y float64, texts ...string) float64 {
	for _, text := range texts {
		d.at(x, y, regular, 10, text)
		y -= 12
	}
	return y
}

// makePDF makes a document of pages; extra objects follow from number 5 on,
// and catalog is put into the document's catalog.
func makePDF(pages []*drawing, catalog string, extra ...string) []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R " + catalog + " >>", "",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
	}
	objects = append(objects, extra...)
	var kids strings.Builder
	for _, page := range pages {
		n := len(objects) + 1
		fmt.Fprintf(&kids, "%d 0 R ", n)
		objects = append(objects,
			fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents %d 0 R "+
				"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>", n+1),
			fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", page.Len(), page.String()))
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(pages), kids.String())
	return assemblePDF(objects)
}

func assemblePDF(objects []string) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	offsets := make([]int, len(objects))
	for i, object := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return out.Bytes()
}
