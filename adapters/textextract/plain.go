package textextract

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"lectern/domain"
)

const (
	maxPlainHeadingRunes = 80
	longLineRunes        = 160 // a line that nobody wrapped, so it is a paragraph
)

// section matches the number of a heading such as "2.1. Prices".
var section = regexp.MustCompile(`^(\d{1,2}(?:\.\d{1,2})*)[.)]?\s`)

// extractText reads the formats that are text as they are.
func (e *Extractor) extractText(ctx context.Context, format domain.Format, content []byte) (domain.Text, error) {
	if err := e.checkTextSize(content); err != nil {
		return domain.Text{}, err
	}
	read := extractPlain
	switch format {
	case domain.FormatHTML:
		read = extractHTML
	case domain.FormatMarkdown:
		read = extractMarkdown
	default:
	}
	text, err := read(ctx, content)
	switch {
	case err == nil, isDomainError(err):
		return text, err
	case errors.Is(context.Cause(ctx), errTooSlow):
		return domain.Text{}, because(unreadable("this document takes longer than %s to read: split it and upload the parts",
			e.opts.Timeout), err)
	}
	return domain.Text{}, fmt.Errorf("read %s: %w", format, err)
}

func extractPlain(ctx context.Context, content []byte) (domain.Text, error) {
	decoded, err := decode(content, nil)
	if err != nil {
		return domain.Text{}, err
	}
	var out blocks
	passages := splitPassages(string(decoded))
	for i, lines := range passages {
		if ctx.Err() != nil {
			return domain.Text{}, context.Cause(ctx)
		}
		if level := plainLevel(lines); level > 0 && leads(passages[i+1:]) {
			out.add(domain.BlockHeading, level, 0, lines[0])
		} else {
			out.addLines(lines)
		}
	}
	return domain.Text{Title: out.title(""), Blocks: out}, nil
}

// splitPassages returns the runs of lines between blank ones.
func splitPassages(s string) [][]string {
	var passages [][]string
	var lines []string
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", "\n\n").Replace(s) + "\n\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		} else if len(lines) > 0 {
			passages, lines = append(passages, lines), nil
		}
	}
	return passages
}

// plainLevel returns a heading's level, or 0 for what does not look like one.
func plainLevel(lines []string) int {
	text := clean(lines[0])
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case len(lines) > 1, utf8.RuneCountInString(text) > maxPlainHeadingRunes,
		strings.ContainsRune(`.,;:!?…`, last), !strings.ContainsFunc(text, unicode.IsLetter):
		return 0
	}
	if number := section.FindStringSubmatch(text); number != nil {
		return min(strings.Count(number[1], ".")+1, maxHeadingLevel)
	}
	if unicode.IsUpper(first) {
		return 1
	}
	return 0
}

// leads tells whether text follows soon: a list of short lines is no contents
// of headings.
func leads(following [][]string) bool {
	for _, lines := range following[:min(len(following), 2)] {
		if plainLevel(lines) == 0 {
			return true
		}
	}
	return false
}

// addLines adds a passage: one paragraph, unless its lines are long or a list.
func (b *blocks) addLines(lines []string) {
	kind, from := domain.BlockParagraph, 0
	flush := func(to int) {
		text := strings.Join(lines[from:to], " ")
		if kind == domain.BlockListItem {
			text, _ = cutMark(text)
		}
		b.add(kind, 0, 0, text)
		from = to
	}
	apart := hasLongLine(lines)
	for i, line := range lines {
		_, marked := cutMark(line)
		listed := marked && (i == 0 || kind == domain.BlockListItem || strings.HasSuffix(lines[i-1], ":"))
		if listed || apart {
			flush(i)
			kind = domain.BlockParagraph
		}
		if listed {
			kind = domain.BlockListItem
		}
	}
	flush(len(lines))
}

func hasLongLine(lines []string) bool {
	for _, line := range lines {
		if utf8.RuneCountInString(line) > longLineRunes {
			return true
		}
	}
	return false
}
