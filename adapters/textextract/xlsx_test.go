package textextract_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"lectern/adapters/textextract"
	"lectern/domain"
)

// xlsx packs a workbook that fill fills; it has the one sheet "Prices".
func xlsx(tb testing.TB, fill func(*excelize.File)) []byte {
	tb.Helper()
	file := excelize.NewFile()
	defer func() { require.NoError(tb, file.Close()) }()
	require.NoError(tb, file.SetSheetName("Sheet1", "Prices"))
	fill(file)
	var out bytes.Buffer
	require.NoError(tb, file.Write(&out))
	return out.Bytes()
}

func set(tb testing.TB, file *excelize.File, cell string, value any, format string) {
	tb.Helper()
	require.NoError(tb, file.SetCellValue("Prices", cell, value))
	if format != "" {
		style, err := file.NewStyle(&excelize.Style{CustomNumFmt: &format})
		require.NoError(tb, err)
		require.NoError(tb, file.SetCellStyle("Prices", cell, cell, style))
	}
}

func TestCellsReadAsTheyAreShown(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 5, 14, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		value        any
		format, want string
	}{
		"a number as typed":    {1234.5, "", "1234.5"},
		"no binary fractions":  {0.1 + 0.2, "", "0.3"},
		"thousands":            {1234567, "#,##0", "1,234,567"},
		"a percentage":         {0.125, "0.0%", "12.5%"},
		"money":                {99.9, `"€" 0.00`, "€ 99.90"},
		"a date":               {date, "dd.mm.yyyy", "05.11.2026"},
		"a country's own date": {date, "mm-dd-yy", "11-05-26"},
		"a time":               {date, "hh:mm", "14:30"},
		"a truth":              {true, "", "TRUE"},
		"words of two lines":   {"one\ntwo", "", "one two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := xlsx(t, func(file *excelize.File) {
				set(t, file, "A1", "value", "")
				set(t, file, "B1", c.value, c.format)
			})
			text, err := extract(t, domain.FormatXLSX, textextract.Options{}, content)
			require.NoError(t, err)
			require.Equal(t, []domain.Block{docxHeading(1, "Prices"), docxRow("value | " + c.want)}, text.Blocks)
		})
	}
}

func TestASheetIsReadWithoutWhatIsEmptyOrHidden(t *testing.T) {
	t.Parallel()
	content := xlsx(t, func(file *excelize.File) {
		for cell, value := range map[string]any{
			"C3": "Price list", "C5": "Course", "E5": "Price", "F5": "secret", "C6": "Selling", "E6": 100, "F6": "secret", "C7": "secret", "E7": 1, "C9": "Talks", "E10": 5,
		} {
			set(t, file, cell, value, "")
		}
		require.NoError(t, file.SetColVisible("Prices", "F", false))
		require.NoError(t, file.SetRowVisible("Prices", 7, false))
		for name, visible := range map[string]bool{"Sheet7": true, "Hidden": false} {
			_, err := file.NewSheet(name)
			require.NoError(t, err)
			require.NoError(t, file.SetCellValue(name, "A1", name+" has this"))
			require.NoError(t, file.SetSheetVisible(name, visible))
		}
	})
	text, err := extract(t, domain.FormatXLSX, textextract.Options{}, content)
	require.NoError(t, err)
	require.Equal(t, []domain.Block{
		docxHeading(1, "Prices"), docxParagraph("Price list"), docxRow("Course | Price"), docxRow("Selling | 100"), docxParagraph("Talks"), docxParagraph("5"),
		docxParagraph("Sheet7 has this"),
	}, text.Blocks)
}

func TestAWorkbookPastTheLimitsIsRefused(t *testing.T) {
	t.Parallel()
	wide := xlsx(t, func(file *excelize.File) {
		for row := range 70 {
			cell, err := excelize.CoordinatesToCellName(excelize.MaxColumns, row+1)
			require.NoError(t, err)
			set(t, file, cell, "x", "")
		}
	})
	_, err := extract(t, domain.FormatXLSX, textextract.Options{}, wide)
	require.Equal(t, domain.ReasonDocumentTooLarge, domain.ReasonOf(err), "empty cells count: %v", err)

	wordy := xlsx(t, func(file *excelize.File) { set(t, file, "A1", strings.Repeat("word ", 100), "") })
	_, err = extract(t, domain.FormatXLSX, textextract.Options{MaxTextBytes: 100}, wordy)
	require.Equal(t, domain.ReasonDocumentTooLarge, domain.ReasonOf(err), "%v", err)
}
