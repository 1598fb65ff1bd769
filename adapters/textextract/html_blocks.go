package textextract

import (
	"context"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"lectern/domain"
)

// htmlWalker makes blocks of the text under a node, in reading order.
type htmlWalker struct {
	ctx  context.Context //nolint:containedctx // of one walk
	out  blocks
	line strings.Builder // text that is not yet in a block
	in   int             // list items around the present node
}

func htmlBlocks(ctx context.Context, root *html.Node) (blocks, error) {
	w := &htmlWalker{ctx: ctx}
	w.block(root, domain.BlockParagraph, 0)
	return w.out, context.Cause(ctx)
}

// block puts the text under n into blocks of its own, of the kind given.
func (w *htmlWalker) block(n *html.Node, kind domain.BlockKind, level int) {
	for c := range n.ChildNodes() {
		if w.ctx.Err() != nil {
			return
		}
		w.node(c, kind, level)
	}
	w.flush(kind, level)
}

func (w *htmlWalker) node(n *html.Node, kind domain.BlockKind, level int) {
	switch {
	case dropped(n):
	case n.Type == html.TextNode:
		w.line.WriteString(n.Data)
	case n.DataAtom == atom.Br:
		w.line.WriteByte(' ')
	case isInline(n):
		for c := range n.ChildNodes() {
			w.node(c, kind, level)
		}
	default:
		w.flush(kind, level)
		w.element(n, kind, level)
	}
}

func (w *htmlWalker) element(n *html.Node, kind domain.BlockKind, level int) {
	own := headingLevel(n)
	switch {
	case own > 0:
		w.block(n, domain.BlockHeading, own)
	case n.DataAtom == atom.Pre:
		w.out.add(domain.BlockCode, 0, 0, rawText(n))
	case n.DataAtom == atom.Li || n.DataAtom == atom.Dd:
		w.in++
		w.block(n, domain.BlockListItem, w.in-1)
		w.in--
	case n.DataAtom == atom.Tr && isData(n):
		w.out.add(domain.BlockTableRow, 0, 0, joinCells(cells(n)))
	default:
		w.block(n, kind, level)
	}
}

func (w *htmlWalker) flush(kind domain.BlockKind, level int) {
	w.out.add(kind, level, 0, w.line.String())
	w.line.Reset()
}

// isData tells a row of values from one that only lays out a page.
func isData(row *html.Node) bool {
	for n := range row.Descendants() {
		if n.DataAtom == atom.Table || n.DataAtom == atom.Pre || headingLevel(n) > 0 && n.Parent.DataAtom != atom.Th {
			return false
		}
	}
	filled := 0
	for _, text := range cells(row) {
		if text != "" {
			filled++
		}
	}
	return filled > 1
}

// cells returns the texts of a row's cells.
func cells(row *html.Node) []string {
	var texts []string
	for c := range row.ChildNodes() {
		if c.DataAtom != atom.Td && c.DataAtom != atom.Th || dropped(c) {
			continue
		}
		w := htmlWalker{ctx: context.Background()}
		w.block(c, domain.BlockParagraph, 0)
		texts = append(texts, w.out.line())
	}
	return texts
}
