package textextract

import (
	"math"
	"strings"
)

// How tables are told from text, in ems.
const (
	edgeEms    = 0.25 // by which the edges of what is aligned may differ
	rowLeading = 1.5  // from which a lower line in the same column begins a row
)

// maxColumns bounds the search for a cell's column; no readable table has more.
const maxColumns = 50

// table is lines whose cells stand in the columns that its first line began.
type table struct {
	columns []cell
	rows    []tableRow
}

type tableRow struct {
	line
	at []int // the column of each cell
}

// findTables replaces each table's lines by its rows. Programs draw a row cell
// by cell, each cell with all of its lines, or line by line.
func findTables(lines []line, body typography) []line {
	for i := range lines {
		mergeMark(&lines[i])
	}
	var out []line
	for i := 0; i < len(lines); {
		rows, used := readTable(lines[i:], body)
		if used == 0 {
			out, i = append(out, lines[i]), i+1
			continue
		}
		out, i = append(out, rows...), i+used
	}
	return out
}

// mergeMark joins an item's mark to its text, from which a tab set it off.
func mergeMark(l *line) {
	if len(l.cells) > 1 && isMark(l.cells[0].text) {
		l.cells[1].text = l.cells[0].text + " " + l.cells[1].text
		l.cells[1].x0 = l.cells[0].x0
		l.cells = l.cells[1:]
	}
}

// readTable returns the rows of the table that lines begin with, and how many
// lines it takes up; none for what is no table.
func readTable(lines []line, body typography) ([]line, int) {
	if n := len(lines[0].cells); n < 2 || n > maxColumns {
		return nil, 0
	}
	t := table{columns: lines[0].cells}
	used := 0 // up to the last row with more than one cell
	full := 0
	for i, l := range lines {
		at, ok := t.place(l)
		if !ok || l.size > body.size*loudFactor && i > 0 {
			break
		}
		if t.begins(l, at) {
			t.rows = append(t.rows, tableRow{line: line{x0: l.x0, size: l.size, bold: l.bold, page: l.page, row: true}})
		}
		row := &t.rows[len(t.rows)-1]
		row.add(l, at)
		if len(row.cells) > 1 {
			used, full = i+1, len(t.rows)
		}
	}
	if full < 2 {
		return nil, 0
	}
	var rows []line
	for _, row := range t.rows[:full] {
		rows = append(rows, row.line)
	}
	return rows, used
}

// place finds the column of each of a line's cells.
func (t *table) place(l line) (at []int, ok bool) {
	next := 0
	for _, c := range l.cells {
		for next < len(t.columns) && !aligned(c, t.columns[next], edgeEms*l.size) {
			next++
		}
		if next == len(t.columns) {
			return nil, false
		}
		at = append(at, next)
		next++
	}
	reachesOver := next < len(t.columns) && l.x1 > t.columns[next].x0 // as a line of prose below the table does
	return at, !reachesOver
}

func aligned(a, b cell, within float64) bool {
	return math.Abs(a.x0-b.x0) < within || math.Abs(a.x1-b.x1) < within || math.Abs(a.x0+a.x1-b.x0-b.x1) < 2*within
}

// begins tells whether a line begins a row: it is back left of where the row
// so far has come, or well below it.
func (t *table) begins(l line, at []int) bool {
	if len(t.rows) == 0 {
		return true
	}
	row := t.rows[len(t.rows)-1]
	last := row.at[len(row.at)-1]
	return at[0] < last || at[0] == last && row.y-l.y > rowLeading*l.size
}

// add takes a line's cells into the row.
func (r *tableRow) add(l line, at []int) {
	for i, c := range l.cells {
		n := len(r.at)
		switch {
		case n == 0 || r.at[n-1] != at[i]:
			r.cells, r.at = append(r.cells, c), append(r.at, at[i])
		case r.hyphened:
			r.cells[n-1].text += c.text
		default:
			r.cells[n-1].text += " " + c.text
		}
	}
	r.x1, r.y, r.hyphened = max(r.x1, l.x1), l.y, l.hyphened
}

func rowText(l line) string {
	texts := make([]string, len(l.cells))
	for i, c := range l.cells {
		texts[i] = c.text
	}
	return strings.Join(texts, " | ")
}
