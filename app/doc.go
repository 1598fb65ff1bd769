// Package app holds Lectern's use cases: what a caller may ask of courses, the
// relay that takes jobs from the outbox to the broker, the workers that carry
// courses from stage to stage, and the service's health.
//
// It decides in which order ports are called and knows no technology behind
// them. Rules that need no port are the domain's.
package app
