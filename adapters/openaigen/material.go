package openaigen

import (
	"fmt"
	"slices"
	"strings"

	"lectern/domain"
)

// shownDocument is what a prompt tells of a document.
type shownDocument struct {
	ID         string         `json:"id,omitempty"`
	Name       string         `json:"name"`
	Summary    string         `json:"summary,omitempty"`
	KeyPhrases []string       `json:"key_phrases,omitempty"`
	Headings   []shownHeading `json:"headings,omitempty"`
}

type shownHeading struct {
	ID    string `json:"id"`
	Level int    `json:"level,omitempty"`
	Text  string `json:"text"`
}

// places are what a plan may name as sources, by the ids it knows them by.
type places map[string]domain.Source

// showDocuments shows documents within so many characters, which they share
// evenly, half of it for the summary. With places it shows headings too.
func showDocuments(docs []domain.Document, limit int, known places) []shownDocument {
	shown := make([]shownDocument, len(docs))
	share := limit / max(len(docs), 1)
	for i, d := range docs {
		s := shownDocument{Name: d.Name}
		if d.Summary != nil {
			s.Summary = cut(d.Summary.Text, share/2)
			s.KeyPhrases = d.Summary.KeyPhrases[:min(len(d.Summary.KeyPhrases), 20)]
		}
		if known != nil {
			s.ID = fmt.Sprintf("D%d", i+1)
			known[s.ID] = domain.Source{Document: d.Name}
			s.Headings = showHeadings(d, s.ID, share/2, known)
		}
		shown[i] = s
	}
	return shown
}

func showHeadings(d domain.Document, id string, limit int, known places) []shownHeading {
	const longest = 160 // a longer "heading" is a paragraph
	var shown []shownHeading
	if d.Text == nil {
		return nil
	}
	for _, b := range d.Text.Blocks {
		if b.Kind != domain.BlockHeading {
			continue
		}
		h := shownHeading{ID: fmt.Sprintf("%s.%d", id, len(shown)+1), Level: b.Level, Text: cut(b.Text, longest)}
		if limit -= len(h.Text) + len(h.ID); limit < 0 {
			break
		}
		known[h.ID] = domain.Source{Document: d.Name, Heading: b.Text, Page: b.Page}
		shown = append(shown, h)
	}
	return shown
}

// excerpt is what a document says at a place.
type excerpt struct {
	Document string `json:"document"`
	Heading  string `json:"heading,omitempty"`
	Text     string `json:"text"`
}

// excerpts returns what documents say at the sources, within so many characters.
// A source that is a whole document, or not to be found, is its summary.
func excerpts(docs []domain.Document, sources []domain.Source, limit int) []excerpt {
	var all []excerpt
	share := limit / max(len(sources), 1)
	for _, s := range sources {
		i := slices.IndexFunc(docs, func(d domain.Document) bool { return d.Name == s.Document })
		if i < 0 {
			continue
		}
		text := under(docs[i].Text, s)
		if text == "" && docs[i].Summary != nil {
			text = docs[i].Summary.Text
		}
		if text != "" {
			all = append(all, excerpt{Document: s.Document, Heading: cut(s.Heading, 160), Text: cut(text, share)})
		}
	}
	return all
}

// under returns the text from a heading to the next of its level.
func under(text *domain.Text, s domain.Source) string {
	if text == nil || s.Heading == "" {
		return ""
	}
	at := slices.IndexFunc(text.Blocks, func(b domain.Block) bool {
		return b.Kind == domain.BlockHeading && b.Text == s.Heading && (s.Page == 0 || b.Page == s.Page)
	})
	if at < 0 {
		return ""
	}
	rest := text.Blocks[at+1:]
	end := slices.IndexFunc(rest, func(b domain.Block) bool {
		return b.Kind == domain.BlockHeading && b.Level <= text.Blocks[at].Level
	})
	if end >= 0 {
		rest = rest[:end]
	}
	return plain(rest)
}

// plain writes blocks as lines.
func plain(blocks []domain.Block) string {
	lines := make([]string, len(blocks))
	for i, b := range blocks {
		lines[i] = b.Text
		if b.Kind == domain.BlockListItem {
			lines[i] = "- " + b.Text
		}
	}
	return strings.Join(lines, "\n")
}

// cut shortens a text to so many characters, at a blank if there is one near.
func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	short := string(runes[:max(limit, 0)])
	if i := strings.LastIndexAny(short, " \n"); i > len(short)*3/4 {
		short = short[:i]
	}
	return short
}
