package outlinegen

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// vars are the values a template may name. A value that is "" counts as absent.
type vars map[string]string

// fill returns a template with its {names} replaced. {Name} begins with a
// capital; {«name»} and {“name”} stand in quotation marks, the value's own
// turned into inner ones.
func fill(template string, v vars) string {
	s, _ := try(template, v)
	return s
}

// try is fill that also reports whether every name had a value.
func try(template string, v vars) (string, bool) {
	var b strings.Builder
	whole := true
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), whole
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return b.String() + "{" + rest, false
		}
		value := v.value(name)
		whole = whole && value != ""
		b.WriteString(value)
		template = after
	}
}

func (v vars) value(name string) string {
	if inner, ok := strings.CutPrefix(name, "«"); ok {
		return quoted(v.value(strings.TrimSuffix(inner, "»")), "«»„“")
	}
	if inner, ok := strings.CutPrefix(name, "“"); ok {
		return quoted(v.value(strings.TrimSuffix(inner, "”")), "“”‘’")
	}
	first, n := utf8.DecodeRuneInString(name)
	if unicode.IsUpper(first) {
		return upperFirst(v[string(unicode.ToLower(first))+name[n:]])
	}
	return v[name]
}

// quoted puts s in the first two of four quotation marks, and what it quotes
// itself in the others. What is quoted as a whole keeps its marks.
func quoted(s, marks string) string {
	if s == "" {
		return ""
	}
	m := []rune(marks)
	outer, inner := string(m[0]), string(m[2])
	closeOuter, closeInner := string(m[1]), string(m[3])
	if strings.HasPrefix(s, outer) && strings.HasSuffix(s, closeOuter) && strings.Count(s, outer) == 1 {
		return s
	}
	return outer + strings.NewReplacer(outer, inner, closeOuter, closeInner).Replace(s) + closeOuter
}

// choose fills the first template from the nth on, in a circle, whose names
// all have values.
func choose(list []string, n int, v vars) string {
	for i := range list {
		if s, ok := try(list[(n+i)%len(list)], v); ok {
			return s
		}
	}
	return ""
}
