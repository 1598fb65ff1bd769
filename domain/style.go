package domain

import "slices"

// Style is the manner in which a course teaches.
type Style string

// The styles.
const (
	StyleAcademic       Style = "academic"
	StyleConversational Style = "conversational"
	StyleStorytelling   Style = "storytelling"
	StylePractical      Style = "practical"
	StyleMotivational   Style = "motivational"
	StyleVisual         Style = "visual"
	StyleGamified       Style = "gamified"
	StyleMinimalist     Style = "minimalist"
	StyleResearch       Style = "research"
	StyleEngaging       Style = "engaging"
	StyleProfessional   Style = "professional"
	StyleSocratic       Style = "socratic"
	StyleProblemBased   Style = "problem_based"
	StyleCollaborative  Style = "collaborative"
	StyleTechnical      Style = "technical"
	StyleMicrolearning  Style = "microlearning"
	StyleInspirational  Style = "inspirational"
	StyleInteractive    Style = "interactive"
	StyleAnalytical     Style = "analytical"
)

// Styles returns every style.
func Styles() []Style {
	return []Style{
		StyleAcademic, StyleConversational, StyleStorytelling, StylePractical, StyleMotivational,
		StyleVisual, StyleGamified, StyleMinimalist, StyleResearch, StyleEngaging, StyleProfessional,
		StyleSocratic, StyleProblemBased, StyleCollaborative, StyleTechnical, StyleMicrolearning,
		StyleInspirational, StyleInteractive, StyleAnalytical,
	}
}

// ParseStyle returns the style named s, or an INVALID_FIELD error.
func ParseStyle(s string) (Style, error) {
	if slices.Contains(Styles(), Style(s)) {
		return Style(s), nil
	}
	return "", Invalid("style", "%q is not a style; the styles are %v", s, Styles())
}
