package textextract_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"lectern/adapters/textextract"
	"lectern/domain"
)

const (
	russian = "Возражение — нормальная часть выбора, и консультант отвечает на него доводом. Ёж съел объявление о скидке."
	german  = "Für die Prüfung müssen die Schüler größere Übungen lösen; das heißt, sie hören zu und schließen ab."
	french  = "Les élèves préparent l'entretien à l'école, où le maître répète ses questions très précisément."
)

// Without a mark and a declaration the letters alone tell.
func TestEachTextFormatIsReadInWhateverEncoding(t *testing.T) {
	t.Parallel()
	e := newExtractor(t, textextract.Options{})
	for name, c := range map[string]struct {
		enc  encoding.Encoding
		text string
	}{
		"UTF-8":                      {encoding.Nop, russian},
		"windows-1251":               {charmap.Windows1251, russian},
		"KOI8-R":                     {charmap.KOI8R, "Возражение - нормальная часть выбора, и консультант отвечает на него доводом."},
		"latin1, German":             {charmap.ISO8859_1, german},
		"latin1, French":             {charmap.ISO8859_1, french},
		"UTF-16LE with a mark":       {unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), russian},
		"UTF-16BE with a mark":       {unicode.UTF16(unicode.BigEndian, unicode.UseBOM), german},
		"UTF-16LE without a mark":    {unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), russian},
		"UTF-16BE without a mark":    {unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), russian},
		"UTF-16LE, Latin, no mark":   {unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), german},
		"UTF-16BE, Latin, no mark":   {unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), french},
		"UTF-8 with a mark, Russian": {unicode.UTF8BOM, russian},
	} {
		for file, markup := range map[string][2]string{
			"a.txt": {"", ""}, "a.md": {"# A\n\n", "\n\n- b\n"}, "a.html": {"<html><body><h1>A</h1><p class=\"text\">", "</p><ul><li>b</li></ul></body></html>"},
		} {
			content, err := c.enc.NewEncoder().String(markup[0] + c.text + markup[1])
			require.NoError(t, err)
			format, err := e.Inspect(t.Context(), file, []byte(content))
			require.NoError(t, err, "%s, %s", name, file)
			text, err := e.Extract(t.Context(), format, []byte(content))
			require.NoError(t, err, "%s, %s", name, file)
			require.Contains(t, text.Blocks, domain.Block{Kind: domain.BlockParagraph, Text: c.text}, "%s, %s", name, file)
		}
	}
}

func TestAPagesDeclaredEncodingIsBelieved(t *testing.T) {
	t.Parallel()
	for name, enc := range map[string]encoding.Encoding{"windows-1251": charmap.Windows1251, "koi8-r": charmap.KOI8R, "iso-8859-5": charmap.ISO8859_5} {
		content, err := enc.NewEncoder().String(`<html><head><meta charset="` + name + `"></head><body><p>Цена</p></body></html>`)
		require.NoError(t, err)
		text, err := extract(t, domain.FormatHTML, textextract.Options{}, []byte(content))
		require.NoError(t, err)
		require.Equal(t, []domain.Block{docxParagraph("Цена")}, text.Blocks, name)
	}
}
