// Package outlinegen writes courses without a model: from the headings, the
// sentences and the key phrases of the author's own documents, or from the
// title alone. It reads no clock, no network and no chance: the same input
// gives the same course.
//
// English and Russian are written in full; a course in another language gets
// short labels around its own words, and documents may be in any script.
//
// It does not understand what it reads. Every sentence that it takes from a
// document is whole and unchanged; everything else comes from the templates in
// data/, which is where a course's wording is changed.
package outlinegen
