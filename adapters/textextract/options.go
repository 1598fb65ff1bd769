package textextract

import "time"

// The limits that apply where [Options] leaves a zero.
const (
	DefaultMaxBytes         = 64 << 20
	DefaultMaxPages         = 1000
	DefaultMaxUnpackedBytes = 256 << 20
	DefaultMaxEntries       = 10_000
	DefaultMaxRatio         = 200
	DefaultMaxTextBytes     = 16 << 20
	DefaultMaxMemoryBytes   = 512 << 20
	DefaultTimeout          = time.Minute
	DefaultReaders          = 1
)

// Options bound what one document may cost. A zero means the default.
type Options struct {
	// CacheDir keeps the compiled PDF reader between runs, so that the first
	// PDF takes a tenth of a second and not three. Created when it is not
	// there; empty keeps it in memory only.
	CacheDir string

	MaxBytes         int64         // of a document as uploaded
	MaxPages         int           // of a PDF; slides of a PPTX
	MaxUnpackedBytes int64         // of all that an archive, such as a DOCX, unpacks to
	MaxEntries       int           // files inside an archive
	MaxRatio         int64         // unpacked to packed bytes of an archive over 1 MiB
	MaxTextBytes     int64         // of an HTML, Markdown or text file, and of the text taken from any document
	MaxMemoryBytes   int64         // of the PDF reader's sandbox, each
	Timeout          time.Duration // for one document, not counting the wait for a free PDF reader
	Readers          int           // PDFs read at the same time

	// SpeakerNotes has a PPTX's notes read too, after the slide that each
	// belongs to. They often say more than the slides, and now and then what
	// was not meant for others.
	SpeakerNotes bool
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxBytes, DefaultMaxBytes)
	setDefault(&o.MaxPages, DefaultMaxPages)
	setDefault(&o.MaxUnpackedBytes, DefaultMaxUnpackedBytes)
	setDefault(&o.MaxEntries, DefaultMaxEntries)
	setDefault(&o.MaxRatio, DefaultMaxRatio)
	setDefault(&o.MaxTextBytes, DefaultMaxTextBytes)
	setDefault(&o.MaxMemoryBytes, DefaultMaxMemoryBytes)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.Readers, DefaultReaders)
	return o
}

func setDefault[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}
