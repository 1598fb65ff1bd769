package textextract

import (
	"bytes"
	"context"
	"strings"

	"codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"

	"lectern/domain"
)

const (
	maxArticleNodes = 50_000 // of a page that is searched for its main part
	levelAttr       = "data-level"
)

func extractHTML(ctx context.Context, content []byte) (domain.Text, error) {
	decoded, err := decode(content, declaredCharset(content))
	if err != nil {
		return domain.Text{}, err
	}
	// The parser refuses elements nested deeper than 512, so that recursion
	// over its nodes is bounded.
	doc, err := html.Parse(bytes.NewReader(decoded))
	if err != nil {
		return domain.Text{}, because(unreadable("this HTML is damaged: save the page again"), err)
	}
	keepLevels(doc)
	whole, err := htmlBlocks(ctx, doc)
	if err != nil {
		return domain.Text{}, err
	}
	title := whole.title(pageTitle(doc))
	main, err := mainBlocks(ctx, doc)
	if err != nil || main.size() < whole.size()/2 {
		return domain.Text{Title: title, Blocks: whole}, context.Cause(ctx)
	}
	return domain.Text{Title: title, Blocks: main}, nil
}

// declaredCharset returns what a <meta> names, or nil.
func declaredCharset(content []byte) encoding.Encoding {
	enc, _, certain := charset.DetermineEncoding(content, "")
	if !certain && !bytes.Contains(content[:min(len(content), 1024)], []byte("charset")) {
		return nil
	}
	return enc
}

// mainBlocks leaves out what surrounds an article: menus, comments, adverts.
func mainBlocks(ctx context.Context, doc *html.Node) (blocks, error) {
	parser := readability.NewParser()
	parser.MaxElemsToParse = maxArticleNodes
	article, err := parser.ParseDocument(doc, nil)
	if err != nil || article.Node == nil {
		return nil, err
	}
	return htmlBlocks(ctx, article.Node)
}

// keepLevels notes each heading's level, because the search for the main part
// makes second-level headings of the first-level ones.
func keepLevels(doc *html.Node) {
	for n := range doc.Descendants() {
		if headingLevel(n) > 0 {
			n.Attr = append(n.Attr, html.Attribute{Key: levelAttr, Val: n.Data[1:]})
		}
	}
}

func headingLevel(n *html.Node) int {
	if n.Type != html.ElementNode || len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
		return 0
	}
	for _, a := range n.Attr {
		if a.Key == levelAttr && len(a.Val) == 1 && a.Val[0] >= '1' && a.Val[0] <= '6' {
			return int(a.Val[0] - '0')
		}
	}
	return int(n.Data[1] - '0')
}

func pageTitle(doc *html.Node) string {
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Title && n.Namespace == "" {
			return clean(rawText(n))
		}
	}
	return ""
}

// rawText returns all text under n as it is, but not scripts and the like.
func rawText(n *html.Node) string {
	var b strings.Builder
	writeText(&b, n)
	return b.String()
}

func writeText(b *strings.Builder, n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		b.WriteString(n.Data)
	case n.DataAtom == atom.Br:
		b.WriteByte('\n')
	}
	for c := range n.ChildNodes() {
		if !dropped(c) {
			writeText(b, c)
		}
	}
}

// dropped tells what is not text of the page, or surrounds it.
func dropped(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return n.Type == html.CommentNode || n.Type == html.DoctypeNode
	}
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Nav, atom.Aside, atom.Footer, atom.Template, atom.Noscript, atom.Svg, atom.Math,
		atom.Iframe, atom.Object, atom.Video, atom.Audio, atom.Canvas, atom.Button, atom.Select, atom.Textarea, atom.Dialog:
		return true
	default:
	}
	for _, a := range n.Attr {
		if a.Key == "hidden" {
			return true
		}
	}
	return false
}

// isInline tells the elements that do not break a line.
func isInline(n *html.Node) bool {
	switch n.DataAtom {
	case 0, atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Big, atom.Cite, atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em,
		atom.Font, atom.I, atom.Img, atom.Input, atom.Ins, atom.Kbd, atom.Label, atom.Mark, atom.Nobr, atom.Q, atom.S, atom.Samp,
		atom.Small, atom.Span, atom.Strike, atom.Strong, atom.Sub, atom.Sup, atom.Time, atom.Tt, atom.U, atom.Var, atom.Wbr:
		return true
	default:
		return false
	}
}
