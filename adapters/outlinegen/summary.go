package outlinegen

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// pick returns up to limit sentences that say most about the topic, in the
// order of the source. A sentence that leans on the one before comes with it
// or not at all. Sentences in used are passed over; those picked join it.
func (c *corpus) pick(list []sentence, limit int, used set) []string {
	order := make([]int, 0, len(list))
	score := make([]float64, len(list))
	for i := range list {
		if list[i].quotable && !used[list[i].key] {
			order = append(order, i)
			score[i] = c.tells(list, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(a, b)) })
	chosen := map[int]bool{}
	for _, i := range order {
		if len(chosen) == limit {
			break
		}
		if run := c.run(list, i, chosen, used); len(run) > 0 && len(chosen)+len(run) <= limit && !c.repeats(list, i, chosen) {
			for _, j := range run {
				chosen[j] = true
			}
		}
	}
	var texts []string
	for i := range list {
		if chosen[i] {
			texts = append(texts, list[i].text)
			used[list[i].key] = true
		}
	}
	return texts
}

// run returns sentence i with those it leans on that are not chosen yet, or
// nothing if they can't be quoted.
func (c *corpus) run(list []sentence, i int, chosen map[int]bool, used set) []int {
	var run []int
	for ; !chosen[i]; i-- {
		if !list[i].quotable || used[list[i].key] {
			return nil
		}
		run = append(run, i)
		if !list[i].leans || i == 0 {
			return run
		}
		if list[i].opens {
			return nil
		}
	}
	return run
}

// tells scores a sentence: the weight of its terms for its length, more at
// the head of the text and of its paragraph.
func (c *corpus) tells(list []sentence, i int) float64 {
	s, sum := list[i], 0.0
	seen := map[int32]bool{}
	for _, w := range s.words {
		if w.term != breakTerm && !seen[w.term] {
			seen[w.term] = true
			sum += math.Sqrt(c.vocabulary.terms[w.term].weight)
		}
	}
	sum /= math.Sqrt(float64(s.length) + 6)
	switch {
	case i == 0:
		sum *= 1.7
	case s.opens:
		sum *= 1.3
	}
	return sum * (1 + 0.3/float64(i+1))
}

// repeats reports whether most terms of sentence i stand in one that is chosen.
func (c *corpus) repeats(list []sentence, i int, chosen map[int]bool) bool {
	terms := list[i].terms()
	for j := range chosen {
		common := 0
		other := list[j].terms()
		for t := range terms {
			if other[t] {
				common++
			}
		}
		if common*10 > len(terms)*6 {
			return true
		}
	}
	return false
}

func (s sentence) terms() map[int32]bool {
	all := map[int32]bool{}
	for _, w := range s.words {
		if w.term != breakTerm {
			all[w.term] = true
		}
	}
	return all
}

// The length of a document's summary, in sentences.
const (
	shortSummary = 3
	longSummary  = 6
)

// summarize returns the sentences that stand for the whole text.
func (c *corpus) summarize() string {
	body := slices.DeleteFunc(c.body(), func(s sentence) bool { return s.item })
	limit := min(longSummary, shortSummary+len(body)/25)
	texts := c.pick(body, limit, set{})
	if len(texts) == 0 {
		for _, d := range c.docs {
			texts = append(texts, d.title)
		}
	}
	return strings.Join(texts, " ")
}
