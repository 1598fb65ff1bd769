package outlinegen

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"lectern/domain"
)

// unit is what stands under one heading of a document.
type unit struct {
	title  string // "" where the document gives none
	level  int
	source domain.Source
	text   []sentence // without its parts' text
	words  int        // without its parts' words
	parts  []*unit
}

// total returns the words of a unit and its parts.
func (u *unit) total() int {
	n := u.words
	for _, p := range u.parts {
		n += p.total()
	}
	return n
}

// document is a source as the planner sees it.
type document struct {
	title string
	named bool  // the title is the document's own and not its file's
	intro *unit // what stands before the first heading, or below the title
	units []*unit
}

// own returns the document's own title, or "".
func (d *document) own() string {
	if d.named {
		return d.title
	}
	return ""
}

// reader turns the domain's documents into units, adding their words to the
// vocabulary.
type reader struct {
	lexicon    *lexicon
	vocabulary *vocabulary
	bytes      int          // of text still to be read of this document
	headings   int          // still to be read of this document
	afterTalk  map[int]bool // blocks that comment on a dialogue left out before them
}

// read returns the outline of a document.
func (r *reader) read(doc domain.Document) *document {
	blocks := r.admit(*doc.Text)
	r.vocabulary.speak(r.lexicon.foreign(sampleWords(blocks)))
	flat := r.units(doc.Name, blocks)
	flesh(flat)
	d := &document{intro: flat[0]}
	d.title, flat = ownTitle(flat)
	if d.title == "" {
		d.title = usableTitle(doc.Text.Title)
	}
	d.named = d.title != ""
	if !d.named {
		d.title = fileTitle(doc.Name)
	}
	top := &unit{title: d.title}
	d.units = r.tidy(nest(flat), top)
	d.intro.text = append(d.intro.text, top.text...)
	d.intro.words += top.words
	return d
}

// admit returns the blocks that are within the limits and say something.
func (r *reader) admit(t domain.Text) []domain.Block {
	names := speakers(t.Blocks)
	r.afterTalk = map[int]bool{}
	var kept []domain.Block
	for _, b := range t.Blocks {
		if r.bytes <= 0 {
			break
		}
		if len(b.Text) > r.bytes {
			b.Text = strings.ToValidUTF8(b.Text[:r.bytes], "")
		}
		r.bytes -= len(b.Text) + 16
		b.Text = clean(b.Text)
		if names[speakerOf(b)] || !hasWord(b.Text) {
			r.afterTalk[len(kept)] = names[speakerOf(b)]
			continue
		}
		if b.Kind == domain.BlockHeading && (utf8.RuneCountInString(b.Text) > maxHeadingRunes || domain.HasPlaceholder(b.Text)) {
			b.Kind = domain.BlockParagraph
		}
		kept = append(kept, b)
	}
	return kept
}

func sampleWords(blocks []domain.Block) []string {
	var all []string
	for _, b := range blocks {
		if all = append(all, strings.Fields(b.Text)...); len(all) > 2000 {
			break
		}
	}
	return all
}

// units cuts a document at its headings. The first unit is what precedes them.
func (r *reader) units(name string, blocks []domain.Block) []*unit {
	var headings []string
	for _, b := range blocks {
		if b.Kind == domain.BlockHeading {
			headings = append(headings, b.Text)
		}
	}
	counted := countedHeadings(headings)
	current := &unit{source: domain.Source{Document: name}}
	all := []*unit{current}
	for i := 0; i < len(blocks); i++ {
		b := blocks[i]
		if current.source.Page == 0 {
			current.source.Page = b.Page
		}
		if b.Kind == domain.BlockHeading && r.headings > 0 {
			r.headings--
			current = &unit{
				title: shorten(cleanHeading(b.Text, counted), maxTitleRunes), level: max(b.Level, 1),
				source: domain.Source{Document: name, Heading: b.Text, Page: b.Page},
			}
			all = append(all, current)
			continue
		}
		before, comment := len(current.text), r.afterTalk[i]
		i += r.fill(current, blocks[i:]) - 1
		for j := before; comment && j < len(current.text); j++ {
			current.text[j].quotable = false
		}
	}
	return all
}

// fill adds the first block to a unit and returns how many blocks it took:
// the items of a short list join the sentence that announces them.
func (r *reader) fill(u *unit, blocks []domain.Block) int {
	b := blocks[0]
	switch b.Kind {
	case domain.BlockCode, domain.BlockTableRow:
		u.words += len(strings.Fields(b.Text))
		return 1
	case domain.BlockHeading, domain.BlockParagraph, domain.BlockListItem:
	}
	took := 1
	if items := announced(blocks); items > 0 {
		b.Text = enumerate(blocks[:items+1])
		took += items
	}
	texts := r.lexicon.split(b.Text)
	if item := b.Kind == domain.BlockListItem; item && utf8.RuneCountInString(b.Text) <= maxSentence {
		texts = []string{b.Text} // its sentences mean little without each other
	}
	for i, text := range texts {
		if domain.HasPlaceholder(text) {
			continue // the author meant to replace it
		}
		s := sentence{text: text, opens: i == 0, item: b.Kind == domain.BlockListItem}
		s.words, s.length = r.vocabulary.read(text)
		r.lexicon.judge(&s)
		s.key = s.saying()
		u.text = append(u.text, s)
		u.words += s.length
	}
	return took
}

// announced returns how many list items the first block announces with a
// colon, or 0 if they would not make one readable sentence.
func announced(blocks []domain.Block) int {
	if blocks[0].Kind != domain.BlockParagraph || !strings.HasSuffix(blocks[0].Text, ":") {
		return 0
	}
	const mostItems, longest = 8, 400
	size, items := utf8.RuneCountInString(blocks[0].Text), 0
	for _, b := range blocks[1:] {
		if b.Kind != domain.BlockListItem {
			break
		}
		size += utf8.RuneCountInString(b.Text) + 2
		items++
		if strings.ContainsAny(strings.TrimRight(b.Text, ".;"), ".?!:") {
			return 0
		}
	}
	if items > mostItems || size > longest {
		return 0
	}
	return items
}

func enumerate(blocks []domain.Block) string {
	var items []string
	for _, b := range blocks[1:] {
		items = append(items, strings.TrimRight(b.Text, ".;, "))
	}
	return blocks[0].Text + " " + strings.Join(items, "; ") + "."
}

// ownTitle returns the document's title if a single heading of the highest
// level opens it, and the units without that heading.
func ownTitle(flat []*unit) (string, []*unit) {
	if len(flat) < 3 {
		return "", flat[1:]
	}
	first := flat[1]
	for _, u := range flat[2:] {
		if u.level <= first.level {
			return "", flat[1:]
		}
	}
	flat[0].text = append(flat[0].text, first.text...)
	flat[0].words += first.words
	flat[0].source = first.source
	return first.title, flat[2:]
}

// machineTitle matches titles that programs give.
var machineTitle = regexp.MustCompile(`(?i)^(?:microsoft|untitled|без имени|документ\s?\d*$|document\s?\d*$)|\.(?:docx?|pdf|md|txt|html?|indd|pptx?)$`)

func usableTitle(title string) string {
	title = shorten(cleanHeading(title, false), maxTitleRunes)
	if machineTitle.MatchString(title) || domain.HasPlaceholder(title) {
		return ""
	}
	return title
}

// fileTitle makes a title of a file's name: "02_sales-plan.pdf" is "Sales plan".
func fileTitle(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return ' '
		}
		return r
	}, name)
	name = strings.TrimLeft(clean(name), "0123456789 ")
	return shorten(upperFirst(plain(name)), maxTitleRunes)
}

// nest hangs each unit below the last one of a higher level.
func nest(flat []*unit) []*unit {
	var top, open []*unit
	for _, u := range flat {
		for len(open) > 0 && open[len(open)-1].level >= u.level {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			top = append(top, u)
		} else {
			parent := open[len(open)-1]
			parent.parts = append(parent.parts, u)
		}
		open = append(open, u)
	}
	return top
}

// flesh gives the units of a document that is hardly more than headings a
// lesson's worth of words each, for such a document is an outline of the
// course.
func flesh(flat []*unit) {
	empty := 0
	for _, u := range flat[1:] {
		if u.words == 0 {
			empty++
		}
	}
	if empty*3 < len(flat)*2 {
		return
	}
	for _, u := range flat[1:] {
		u.words = max(u.words, minLessonWords)
	}
}

// tidy drops the parts of a unit that teach nothing, folds those whose
// headings name no topic into what stands before them, and names those that
// are too large for that after the unit.
func (r *reader) tidy(parts []*unit, parent *unit) []*unit {
	var kept []*unit
	parts = slices.DeleteFunc(parts, func(u *unit) bool { return r.lexicon.dropped[generic(u.title)] })
	for _, u := range parts {
		u.parts = r.tidy(u.parts, u)
		switch nameless := u.title == "" || r.lexicon.folded[generic(u.title)]; {
		case len(u.parts) == 0 && u.words == 0:
		case nameless && len(u.parts) == 0 && u.foldInto(kept, parent):
		default:
			if nameless && u.title != "" {
				u.title = r.qualified(u.title, parent.title)
			}
			kept = append(kept, u)
		}
	}
	return slices.Clip(kept)
}

func (r *reader) qualified(title, parent string) string {
	if parent == "" {
		return title
	}
	return parent + ": " + r.vocabulary.inside(title)
}

// foldInto makes a unit whose heading names no topic a part of the one before
// it, or of its parent's own text. It reports false if the unit is too large.
func (u *unit) foldInto(before []*unit, parent *unit) bool {
	const small, smallFirst = 250, 2 * minLessonWords // words
	switch {
	case len(before) > 0 && u.words < small:
		u.title = ""
		last := before[len(before)-1]
		last.parts = append(last.parts, u)
	case len(before) == 0 && u.words < smallFirst && u.title != "":
		parent.text = append(parent.text, u.text...)
		parent.words += u.words
	default:
		return false
	}
	return true
}
