package textextract

import (
	"bytes"
	"unicode/utf8"

	"github.com/saintfish/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// chardetBytes is how much of a text its encoding is guessed from.
const chardetBytes = 256 << 10

// cutBOM returns what follows a byte order mark, and the encoding it names.
func cutBOM(content []byte) ([]byte, encoding.Encoding, bool) {
	// UTF-32's little-endian mark begins with that of UTF-16.
	for _, mark := range []struct {
		bytes string
		enc   encoding.Encoding
	}{
		{"\xef\xbb\xbf", unicode.UTF8},
		{"\xff\xfe\x00\x00", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)},
		{"\x00\x00\xfe\xff", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)},
		{"\xff\xfe", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
		{"\xfe\xff", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	} {
		if rest, ok := bytes.CutPrefix(content, []byte(mark.bytes)); ok {
			return rest, mark.enc, true
		}
	}
	return content, nil, false
}

// decode makes UTF-8 of content. Its mark is believed, then its being valid
// UTF-8, then declared, which may be nil, then what its letters look like.
func decode(content []byte, declared encoding.Encoding) ([]byte, error) {
	rest, enc, marked := cutBOM(content)
	switch {
	case marked:
	case utf8.Valid(content):
		return content, nil
	case declared != nil:
		enc = declared
	default:
		enc = guess(content)
	}
	text, err := enc.NewDecoder().Bytes(rest)
	if err != nil {
		return nil, because(unreadable("the text is in an unknown encoding: save it as UTF-8"), err)
	}
	return text, nil
}

// guess falls back on UTF-8, whose decoder replaces what is not valid.
func guess(content []byte) encoding.Encoding {
	best, err := chardet.NewTextDetector().DetectBest(content[:min(len(content), chardetBytes)])
	if err != nil {
		return unicode.UTF8
	}
	enc, err := htmlindex.Get(best.Charset)
	if err != nil {
		return unicode.UTF8
	}
	return enc
}
