package textextract

import (
	"bytes"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// selfClosed matches a tag that ends its own element.
var selfClosed = regexp.MustCompile(`<([A-Za-z][\w:-]*)((?:\s[^<>]*?)?)/>`)

// parseXHTML parses what is XML and yet to be read as HTML, in which an
// element that ends itself, such as <title/>, would swallow what follows.
func parseXHTML(content []byte) (*html.Node, error) {
	decoded, err := decode(content, declaredCharset(content))
	if err != nil {
		return nil, err
	}
	return html.Parse(bytes.NewReader(selfClosed.ReplaceAllFunc(decoded, endTag)))
}

// endTag gives a tag that ends its own element one that does so, unless HTML
// ends it anyway.
func endTag(tag []byte) []byte {
	parts := selfClosed.FindSubmatch(tag)
	name := strings.ToLower(string(parts[1]))
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr":
		return tag
	}
	return []byte("<" + name + string(parts[2]) + "></" + name + ">")
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
