package outlinegen

import (
	"cmp"
	"slices"
)

// link says how often two terms stand near each other.
type link struct {
	to    int32
	count float64
}

// weigh gives every term its PageRank in the graph of terms that stand near
// each other: what is tied to much that matters, matters. The weights' mean is 1.
func (v *vocabulary) weigh(sentences []sentence) {
	graph := v.links(sentences)
	n := len(v.terms)
	rank, next := make([]float64, n), make([]float64, n)
	for i := range rank {
		rank[i] = 1
	}
	const damping, rounds = 0.85, 20
	for range rounds {
		for i := range next {
			next[i] = 1 - damping
		}
		for from, links := range graph {
			total := 0.0
			for _, l := range links {
				total += l.count
			}
			for _, l := range links {
				next[l.to] += damping * rank[from] * l.count / total
			}
		}
		rank, next = next, rank
	}
	for i := range v.terms {
		v.terms[i].weight = rank[i]
	}
}

// links builds the graph, its edges in a fixed order so that sums come out
// the same every time.
func (v *vocabulary) links(sentences []sentence) [][]link {
	counts := map[[2]int32]float64{}
	for _, s := range sentences {
		var last, before int32 = breakTerm, breakTerm
		for _, w := range s.words {
			if w.term == breakTerm {
				continue
			}
			for _, other := range []int32{last, before} {
				if other != breakTerm && other != w.term {
					counts[[2]int32{w.term, other}]++
					counts[[2]int32{other, w.term}]++
				}
			}
			before, last = last, w.term
		}
	}
	graph := make([][]link, len(v.terms))
	for pair, n := range counts {
		graph[pair[0]] = append(graph[pair[0]], link{pair[1], n})
	}
	for _, links := range graph {
		slices.SortFunc(links, func(a, b link) int { return cmp.Compare(a.to, b.to) })
	}
	return graph
}
