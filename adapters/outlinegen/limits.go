package outlinegen

// Limits that keep the work bounded whatever the documents hold. What exceeds
// them is left out; a course of ordinary documents stays far below.
const (
	maxDocuments    = 200      // of a course; later ones are not read
	maxTextBytes    = 2 << 20  // of all documents together, shared evenly
	maxHeadings     = 2000     // of all documents together, shared evenly
	maxPieceBytes   = 16 << 10 // of text split into sentences at once
	maxPhraseWords  = 60_000   // from which key phrases are learnt: more are sampled
	maxWordBytes    = 64       // longer runs of letters are not words
	maxHeadingRunes = 160      // a longer "heading" is a paragraph
	maxSentence     = 420      // characters; longer ones are not quoted
	minSentence     = 25       // characters; shorter ones say too little
)

// The shape of a course. Words are those of the source text.
const (
	minSectionLessons = 2
	maxSectionLessons = 8
	minLessonWords    = 40  // a lesson on less joins its neighbour
	longIntroWords    = 150 // a document's introduction of this length is a lesson
	maxTitleRunes     = 120 // of a lesson or section
	maxTopicRunes     = 70  // of the course's topic inside other titles
)
