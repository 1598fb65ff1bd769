package outlinegen

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"slices"
	"sync"

	"lectern/domain"
)

// What a generator keeps of documents it has read: a course is analysed and
// then written, mostly by the same process and soon after.
const (
	keptCorpora    = 4
	keptCorpusSize = 1 << 20 // bytes of text; larger ones are read again
)

// library keeps the last corpora that were read. A corpus does not change once
// it is read, so that any number of planners may share it.
type library struct {
	mu   sync.Mutex
	kept []shelved // the last used one last
}

type shelved struct {
	key    [sha256.Size]byte
	corpus *corpus
}

// read returns the corpus of documents, reading them if it is not kept.
func (l *library) read(x *lexicon, docs []domain.Document) *corpus {
	key, size := digest(docs)
	if c := l.find(key); c != nil {
		return c
	}
	c := readAll(x, docs)
	if size <= keptCorpusSize && len(docs) > 0 {
		l.keep(shelved{key, c})
	}
	return c
}

func (l *library) find(key [sha256.Size]byte) *corpus {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.kept, func(s shelved) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	found := l.kept[i]
	l.kept = append(slices.Delete(l.kept, i, i+1), found)
	return found.corpus
}

func (l *library) keep(s shelved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.kept, func(k shelved) bool { return k.key == s.key }) {
		return // read twice at once
	}
	if len(l.kept) == keptCorpora {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	l.kept = append(l.kept, s)
}

// digest returns a key of all that reading looks at, and the size of the text.
func digest(docs []domain.Document) (key [sha256.Size]byte, size int) {
	h := sha256.New()
	for _, d := range docs {
		writeText(h, d.Name, string(d.Status))
		if d.Text == nil {
			writeNumbers(h, -1)
			continue
		}
		writeNumbers(h, len(d.Text.Blocks))
		writeText(h, d.Text.Title)
		for _, b := range d.Text.Blocks {
			writeNumbers(h, b.Level, b.Page)
			writeText(h, string(b.Kind), b.Text)
			size += len(b.Text)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), size
}

// writeText hashes texts with their lengths, so that none runs into the next.
func writeText(h hash.Hash, texts ...string) {
	for _, t := range texts {
		writeNumbers(h, len(t))
		_, _ = io.WriteString(h, t) // a hash takes everything
	}
}

func writeNumbers(h hash.Hash, numbers ...int) {
	for _, n := range numbers {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) //nolint:gosec // any bits will do
	}
}
