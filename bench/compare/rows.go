package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Row is a result as it is kept in a file.
type Row struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Against string  `json:"against"`
	Ratio   float64 `json:"ratio"`
	Goal    string  `json:"goal"`
}

// Rows are results as they are kept.
func Rows(results []Result) []Row {
	rows := make([]Row, len(results))
	for i, r := range results {
		rows[i] = Row{r.Name, math.Round(r.Ours), r.Unit, fmt.Sprintf("%s: %.0f", r.Against, r.Peer), rounded(r.Ratio), r.Goal.String()}
	}
	return rows
}

// Merge puts rows that were measured anew in the place of those of the same
// name, and what there was not yet behind them.
func Merge(old, measured []Row) []Row {
	merged := slices.Clone(old)
	place := map[string]int{}
	for i, row := range merged {
		place[row.Name] = i
	}
	for _, row := range measured {
		if i, ok := place[row.Name]; ok {
			merged[i] = row
		} else {
			merged = append(merged, row)
		}
	}
	return merged
}

// goal reads the row's goal.
func (r Row) goal() (Goal, error) {
	if r.Goal == NoGoal().String() {
		return NoGoal(), nil
	}
	var sign string
	var g Goal
	if _, err := fmt.Sscanf(r.Goal, "%s %g", &sign, &g.limit); err != nil || (sign != ">=" && sign != "<=") {
		return g, fmt.Errorf("read goal %q of %s: it is not >= or <= and a number", r.Goal, r.Name)
	}
	g.least = sign == ">="
	return g, nil
}

// Markdown is a table of rows.
func Markdown(rows []Row) (string, error) {
	var out strings.Builder
	out.WriteString("| what | ours | against | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		g, err := r.goal()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "| %s | %.0f %s | %s | %s | %s | %s |\n", r.Name, r.Value, r.Unit, r.Against, ratioText(r.Ratio), r.Goal, g.verdict(r.Ratio))
	}
	return out.String(), nil
}
