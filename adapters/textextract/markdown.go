package textextract

import (
	"bytes"
	"context"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/html"

	"lectern/domain"
)

// frontMatter matches the properties that some editors put before the text.
var (
	frontMatter      = regexp.MustCompile(`\A---[ \t]*\n(?:[\w-]+:.*\n|[ \t]+.*\n|- .*\n|#.*\n)+---[ \t]*\n`)
	frontMatterTitle = regexp.MustCompile(`(?m)^title:[ \t]*["']?(.*?)["']?[ \t]*$`)
)

func extractMarkdown(ctx context.Context, content []byte) (domain.Text, error) {
	source, err := decode(content, nil)
	if err != nil {
		return domain.Text{}, err
	}
	source = bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
	title := ""
	if properties := frontMatter.Find(source); properties != nil {
		source = source[len(properties):]
		if found := frontMatterTitle.FindSubmatch(properties); found != nil {
			title = clean(string(found[1]))
		}
	}
	source = calmParagraphs(deepNesting.ReplaceAllLiteral(source, nil))
	m := markdown{source: source}
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch {
		case ctx.Err() != nil:
			return ast.WalkStop, context.Cause(ctx)
		case !entering:
			return ast.WalkContinue, nil
		}
		return m.block(ctx, n)
	})
	return domain.Text{Title: m.out.title(title), Blocks: m.out}, err
}

// deepNesting matches a line's quotes and lists within each other, when there
// are more than anybody writes: they too take quadratic time.
var deepNesting = regexp.MustCompile(`(?m)^(?:[ \t]*(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])){50,}`)

// maxMarks is how many marks of emphasis, links and code a paragraph may have
// and still be read as Markdown. The parser takes quadratic time over them and
// can't be interrupted; nobody's prose comes near.
const maxMarks = 2000

var paragraphBreak = regexp.MustCompile(`\n[ \t]*\n`)

// calmParagraphs takes the marks out of paragraphs that have too many.
func calmParagraphs(source []byte) []byte {
	const marks = "*_[]~`<"
	calmed, from := source[:0:0], 0
	for _, at := range append(paragraphBreak.FindAllIndex(source, -1), []int{len(source), len(source)}) {
		paragraph := source[from:at[1]]
		if count := len(paragraph) - len(without(paragraph, marks)); count > maxMarks {
			paragraph = without(paragraph, marks)
		}
		calmed, from = append(calmed, paragraph...), at[1]
	}
	return calmed
}

func without(b []byte, marks string) []byte {
	return bytes.Map(func(r rune) rune {
		if strings.ContainsRune(marks, r) {
			return -1
		}
		return r
	}, b)
}

// markdown makes blocks of a document's nodes.
type markdown struct {
	source []byte
	out    blocks
}

func (m *markdown) block(ctx context.Context, n ast.Node) (ast.WalkStatus, error) {
	switch n := n.(type) {
	case *ast.Heading:
		m.out.add(domain.BlockHeading, n.Level, 0, m.inline(n))
	case *ast.Paragraph, *ast.TextBlock:
		kind, depth := domain.BlockParagraph, 0
		if n.Parent().Kind() == ast.KindListItem && n.PreviousSibling() == nil {
			kind, depth = domain.BlockListItem, itemsAround(n.Parent())
		}
		m.out.add(kind, depth, 0, m.inline(n))
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		m.out.add(domain.BlockCode, 0, 0, string(n.Lines().Value(m.source)))
	case *extast.TableHeader, *extast.TableRow:
		m.out.add(domain.BlockTableRow, 0, 0, m.row(n))
	case *ast.HTMLBlock:
		return ast.WalkSkipChildren, m.html(ctx, n)
	default:
		return ast.WalkContinue, nil
	}
	return ast.WalkSkipChildren, nil
}

// itemsAround counts the list items that one stands within.
func itemsAround(item ast.Node) (depth int) {
	for n := item.Parent(); n != nil; n = n.Parent() {
		if n.Kind() == ast.KindListItem {
			depth++
		}
	}
	return depth
}

func (m *markdown) row(n ast.Node) string {
	var cells []string
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		cells = append(cells, clean(m.inline(c)))
	}
	return joinCells(cells)
}

func (m *markdown) html(ctx context.Context, n *ast.HTMLBlock) error {
	lines := n.Lines().Value(m.source)
	if n.HasClosure() {
		lines = append(bytes.Clone(lines), n.ClosureLine.Value(m.source)...)
	}
	doc, err := html.Parse(bytes.NewReader(lines))
	if err != nil {
		return because(unreadable("there is HTML in this Markdown that is nested too deeply: remove it"), err)
	}
	found, err := htmlBlocks(ctx, doc)
	m.out = append(m.out, found...)
	return err
}

// inline returns the text under n without markup and pictures.
func (m *markdown) inline(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // never fails, as the function below
		if entering {
			return m.span(&b, n), nil
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

func (m *markdown) span(b *strings.Builder, n ast.Node) ast.WalkStatus {
	switch n := n.(type) {
	case *ast.Image:
		return ast.WalkSkipChildren
	case *ast.AutoLink:
		b.Write(n.Label(m.source))
	case *ast.String:
		b.Write(n.Value)
	case *ast.RawHTML:
		if bytes.HasPrefix(n.Segments.Value(m.source), []byte("<br")) {
			b.WriteByte(' ')
		}
	case *ast.Text:
		b.Write(m.unescape(n))
		if n.SoftLineBreak() || n.HardLineBreak() {
			b.WriteByte(' ')
		}
	}
	return ast.WalkContinue
}

func (m *markdown) unescape(n *ast.Text) []byte {
	value := n.Segment.Value(m.source)
	if n.IsRaw() || n.Parent().Kind() == ast.KindCodeSpan {
		return value
	}
	return util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
}
