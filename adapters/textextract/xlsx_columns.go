package textextract

import (
	"context"
	"encoding/xml"
	"errors"
	"strconv"
)

var errEnough = errors.New("the rest of the part is not needed")

// columnRanges are ranges of columns, first and last, from 1.
type columnRanges [][2]int

func (c columnRanges) has(n int) bool {
	for _, r := range c {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	return false
}

// maxColumnRanges bounds what one sheet says of its columns, of which it has
// 16384 at most.
const maxColumnRanges = 1000

// hiddenColumns returns the columns of a sheet that are not shown. The library
// tells as much only by holding all of the sheet in memory.
func (w *xlsxWorkbook) hiddenColumns(ctx context.Context, part string) (hidden columnRanges, err error) {
	err = w.read(ctx, part, func(x *xmlReader, _ xml.StartElement) error {
		err := x.children(func(el xml.StartElement) error {
			switch el.Name.Local {
			case "cols":
				return x.children(func(el xml.StartElement) error { return hidden.read(x, el) })
			case "sheetData":
				return errEnough
			}
			return x.skip(el)
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return hidden, err
}

func (c *columnRanges) read(x *xmlReader, el xml.StartElement) error {
	first, err := strconv.Atoi(attr(el, "min"))
	last, err2 := strconv.Atoi(attr(el, "max"))
	if isTrue(attr(el, "hidden")) && err == nil && err2 == nil && len(*c) < maxColumnRanges {
		*c = append(*c, [2]int{first, last})
	}
	return x.skip(el)
}
