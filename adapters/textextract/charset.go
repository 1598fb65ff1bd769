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

// utf16Sample is how much of a text is looked at to see whether it is UTF-16.
const utf16Sample = 4096

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
	wide := unmarkedUTF16(content)
	switch {
	case marked:
	case wide != nil: // valid UTF-8 too, where it is English
		enc = wide
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

// unmarkedUTF16 returns the UTF-16 that content is in where no mark says so,
// or nil: as good as each of its first units is a European letter, or
// punctuation, and no other encoding of text has zeros.
func unmarkedUTF16(content []byte) encoding.Encoding {
	head := content[:min(len(content), utf16Sample)&^1]
	if bytes.IndexByte(head, 0) < 0 {
		return nil
	}
	var little, big int
	for i := 0; i < len(head); i += 2 {
		little += european(head[i+1], head[i])
		big += european(head[i], head[i+1])
	}
	switch enough := len(head) / 2 * 95 / 100; {
	case little > enough && little > big:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case big > enough && big > little:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	return nil
}

// european returns 1 for a unit of text in UTF-16, by its high and low byte.
func european(high, low byte) int {
	const cyrillic, punctuation, letterlike = 0x04, 0x20, 0x21
	switch {
	case high == 0 && (low >= ' ' || low == '\t' || low == '\n' || low == '\r'), high == cyrillic, high == punctuation, high == letterlike:
		return 1
	}
	return 0
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
