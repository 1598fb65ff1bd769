package outlinegen

import (
	"lectern/domain"
)

// corpus is what a course's documents say, ready for planning and writing.
type corpus struct {
	docs       []*document
	vocabulary *vocabulary
	phrases    phraseTable
}

// readAll reads the documents that have text.
func readAll(x *lexicon, docs []domain.Document) *corpus {
	readable := make([]domain.Document, 0, min(len(docs), maxDocuments))
	for _, d := range docs {
		if d.Text != nil && len(d.Text.Blocks) > 0 && d.Status != domain.DocumentFailed && len(readable) < maxDocuments {
			readable = append(readable, d)
		}
	}
	c := &corpus{vocabulary: newVocabulary(x)}
	for _, d := range readable {
		r := &reader{
			lexicon: x, vocabulary: c.vocabulary,
			bytes: maxTextBytes / len(readable), headings: maxHeadings/len(readable) + 1,
		}
		if doc := r.read(d); doc.total() > 0 {
			c.docs = append(c.docs, doc)
		}
	}
	c.phrases = c.vocabulary.learn(c.headings(), c.body())
	return c
}

func (d *document) total() int {
	n := d.intro.words
	for _, u := range d.units {
		n += u.total()
	}
	return n
}

// each calls f for every unit of the documents in reading order.
func (c *corpus) each(f func(*unit)) {
	var walk func([]*unit)
	walk = func(units []*unit) {
		for _, u := range units {
			f(u)
			walk(u.parts)
		}
	}
	for _, d := range c.docs {
		f(d.intro)
		walk(d.units)
	}
}

func (c *corpus) body() []sentence {
	var all []sentence
	c.each(func(u *unit) { all = append(all, u.text...) })
	return all
}

// headings returns the titles as sentences, so that phrases are found in them.
func (c *corpus) headings() []sentence {
	var all []sentence
	c.vocabulary.titling = true
	defer func() { c.vocabulary.titling = false }()
	read := func(title string) {
		s := sentence{text: title}
		s.words, s.length = c.vocabulary.read(title)
		all = append(all, s)
	}
	for _, d := range c.docs {
		if d.named {
			read(d.title)
		}
	}
	c.each(func(u *unit) { read(u.title) })
	return all
}

// words returns the size of all documents.
func (c *corpus) words() int {
	n := 0
	for _, d := range c.docs {
		n += d.total()
	}
	return n
}
