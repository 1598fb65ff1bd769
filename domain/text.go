package domain

import "strings"

// maxErrorRunes bounds what is kept of an error's text.
const maxErrorRunes = 2000

// ErrorText makes an error's text one that can be stored, whatever came from a
// broker or a document: else the failure itself could not be recorded, and
// would come back for ever.
func ErrorText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if r := []rune(s); len(r) > maxErrorRunes {
		return string(r[:maxErrorRunes])
	}
	return s
}
