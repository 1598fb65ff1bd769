package textextract

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"

	"github.com/xuri/excelize/v2"

	"lectern/domain"
)

// xlsxMaxUnpacked bounds a workbook further than other archives: the library
// unpacks all of it into memory, and makes several times as much of it.
const xlsxMaxUnpacked = 64 << 20

// sheetNumber matches the name that a program gives to a sheet.
var sheetNumber = regexp.MustCompile(`(?i)^(?:sheet|лист|аркуш|tabelle|feuil|hoja|foglio|planilha|arkusz|blad|list)\s?\d+$`)

// extractXLSX reads a workbook sheet by sheet: its name as a heading, unless
// a program gave it, and its rows, each value as it is shown, but for dates
// whose order of day and month depends on the reader's country: these are
// 2026-11-25. Without hidden sheets, rows and columns, formulas, comments,
// charts and headers.
func extractXLSX(ctx context.Context, a *archive, content []byte, o Options) (domain.Text, error) {
	w := xlsxWorkbook{archive: a, budget: budget{limit: o.MaxTextBytes}}
	sheets, err := w.sheets(ctx)
	if err != nil {
		return domain.Text{}, err
	}
	o.MaxUnpackedBytes = min(o.MaxUnpackedBytes, xlsxMaxUnpacked)
	if _, err := openArchive(content, a.packed, o); err != nil {
		return domain.Text{}, err
	}
	if err := w.readSheets(ctx, content, sheets, o); err != nil {
		return domain.Text{}, a.verdict(ctx, err)
	}
	title, err := a.property(ctx)
	if err != nil {
		return domain.Text{}, err
	}
	if title == "" {
		title = w.out.title("")
	}
	return domain.Text{Title: title, Blocks: w.out}, nil
}

// xlsxWorkbook gathers a workbook's blocks.
type xlsxWorkbook struct {
	*archive
	budget
	out blocks
}

// xlsxSheet is a sheet that is shown.
type xlsxSheet struct{ name, part string }

// sheets returns the sheets that are shown, in their order.
func (w *xlsxWorkbook) sheets(ctx context.Context) ([]xlsxSheet, error) {
	related, err := w.relations(ctx, w.main)
	if err != nil {
		return nil, err
	}
	var sheets []xlsxSheet
	err = w.read(ctx, w.main, func(x *xmlReader, _ xml.StartElement) error {
		return x.children(func(el xml.StartElement) error {
			if el.Name.Local != "sheets" {
				return x.skip(el)
			}
			return x.children(func(el xml.StartElement) error {
				sheet := related[relationID(el)]
				if state := attr(el, "state"); sheet.kind == "worksheet" && (state == "" || state == "visible") && len(sheets) < opcMaxParts {
					sheets = append(sheets, xlsxSheet{attr(el, "name"), sheet.part})
				}
				return x.skip(el)
			})
		})
	})
	return sheets, err
}

// readSheets adds the sheets' blocks. The library was not written for files
// that somebody made to harm, so that what it can't take is the document's fault.
func (w *xlsxWorkbook) readSheets(ctx context.Context, content []byte, sheets []xlsxSheet, o Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the library gave up: %v", r)
		}
	}()
	file, err := excelize.OpenReader(bytes.NewReader(content), excelize.Options{
		UnzipSizeLimit: o.MaxUnpackedBytes, UnzipXMLSizeLimit: o.MaxUnpackedBytes, // no file is written
		ShortDatePattern: "yyyy-mm-dd",
	})
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it wrote nothing
	for _, sheet := range sheets {
		hidden, err := w.hiddenColumns(ctx, sheet.part)
		if err != nil {
			return err
		}
		rows, err := w.rows(ctx, file, sheet.name, hidden)
		if err != nil {
			return err
		}
		w.addSheet(sheet.name, rows)
	}
	return nil
}

// rows returns a sheet's rows that are shown and not empty.
func (w *xlsxWorkbook) rows(ctx context.Context, file *excelize.File, sheet string, hidden columnRanges) ([][]string, error) {
	source, err := file.Rows(sheet)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }() // it holds nothing but memory
	var rows [][]string
	for source.Next() {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		shown := !source.GetRowOpts().Hidden
		row, err := source.Columns()
		if err != nil {
			return nil, err
		}
		if row, err = w.row(row, hidden); err != nil {
			return nil, err
		}
		if shown && len(row) > 0 {
			rows = append(rows, row)
		}
	}
	return rows, source.Error()
}

// row cleans a row's cells, empties those of hidden columnRanges, and cuts off what
// is empty at its end.
func (w *xlsxWorkbook) row(row []string, hidden columnRanges) ([]string, error) {
	end := 0
	for i := range row {
		if hidden.has(i + 1) {
			row[i] = ""
		}
		if row[i] = clean(row[i]); row[i] == "" {
			continue
		}
		end = i + 1
		if err := w.spend(row[i]); err != nil {
			return nil, err
		}
	}
	for range row[:end] {
		if err := w.part(); err != nil {
			return nil, err
		}
	}
	return row[:end], nil
}

// addSheet adds a sheet's rows, without the columns that are empty in all of
// them. What stands alone in its row is a paragraph.
func (w *xlsxWorkbook) addSheet(name string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	if !sheetNumber.MatchString(name) {
		w.out.add(domain.BlockHeading, 1, 0, name)
	}
	used := usedColumns(rows)
	for _, row := range rows {
		cells := make([]string, 0, len(used))
		filled := 0
		for _, column := range used {
			if column >= len(row) {
				break
			}
			cells = append(cells, row[column])
			if row[column] != "" {
				filled++
			}
		}
		if filled == 1 {
			w.out.add(domain.BlockParagraph, 0, 0, strings.Join(cells, " "))
		} else {
			w.out.add(domain.BlockTableRow, 0, 0, joinCells(cells))
		}
	}
}

// usedColumns returns the columns, from 0, that have something in some row.
func usedColumns(rows [][]string) (used []int) {
	filled := map[int]bool{}
	last := 0
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" {
				filled[i] = true
			}
		}
		last = max(last, len(row))
	}
	for i := range last {
		if filled[i] {
			used = append(used, i)
		}
	}
	return used
}
