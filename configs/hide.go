package configs

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// HidePassword returns an address without its password: Hidden stands in its
// place, and all else stays as it was. It knows URLs, and the keyword form of a
// Postgres address; another text comes back whole.
func HidePassword(address string) string {
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL {
		return keywordPassword().ReplaceAllString(address, "${1}"+Hidden)
	}
	if _, err := url.Parse(address); err != nil {
		return scheme + "://" + hideBroken(rest)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@')
	if user, _, found := strings.Cut(authority[:max(at, 0)], ":"); found {
		authority = user + ":" + Hidden + authority[at:]
	}
	return scheme + "://" + authority + queryPassword().ReplaceAllString(path, "${1}"+Hidden)
}

// hideBroken hides rather too much of what is no URL: where its password ends
// can't be told, and may be at any @.
func hideBroken(rest string) string {
	at := strings.LastIndexByte(rest, '@')
	user, _, found := strings.Cut(rest[:max(at, 0)], ":")
	if !found {
		return Hidden
	}
	return user + ":" + Hidden + queryPassword().ReplaceAllString(rest[at:], "${1}"+Hidden)
}

func keywordPassword() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(\b(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)+)`)
}

func queryPassword() *regexp.Regexp {
	return regexp.MustCompile(`(?i)([?&](?:ssl)?password=)[^&#]*`)
}

// refuseHidden finds what was printed without its secret and not given it back:
// nobody's password is the word that stands for it.
func (l *loader) refuseHidden() {
	for _, key := range slices.Sorted(maps.Keys(l.merged.All())) {
		if text := l.merged.String(key); strings.Contains(text, Hidden) {
			l.problem(key, "holds %s where a secret was: give the whole in %s", Hidden, variable(key))
		}
	}
}
