package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Goal is a bound that a ratio should keep.
type Goal struct {
	least bool
	limit float64
}

// NoGoal is that of a ratio which is reported for comparison.
func NoGoal() Goal { return Goal{} }

// AtLeast is the goal of a ratio of rates, AtMost that of a ratio of times.
func AtLeast(limit float64) Goal { return Goal{least: true, limit: limit} }

// AtMost is the goal of a ratio that may be limit and no more.
func AtMost(limit float64) Goal { return Goal{limit: limit} }

// Met says whether a ratio, as it is reported, keeps the goal.
func (g Goal) Met(ratio float64) bool {
	if g == NoGoal() {
		return true
	}
	if g.least {
		return rounded(ratio) >= g.limit
	}
	return rounded(ratio) <= g.limit
}

func (g Goal) String() string {
	if g == NoGoal() {
		return "none"
	}
	if g.least {
		return fmt.Sprintf(">= %g", g.limit)
	}
	return fmt.Sprintf("<= %g", g.limit)
}

func (g Goal) verdict(ratio float64) string {
	switch {
	case g == NoGoal():
		return ""
	case g.Met(ratio):
		return "met"
	default:
		return "missed"
	}
}

// rounded is a ratio as it is reported: in hundredths, a small one in thousandths.
func rounded(f float64) float64 {
	if f < 0.1 {
		return math.Round(f*1000) / 1000
	}
	return math.Round(f*100) / 100
}

func ratioText(f float64) string {
	if f < 0.1 {
		return fmt.Sprintf("%.3f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// WriteTable writes the results for a reader.
func WriteTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "bench\tours\tpeer\tunit\tratio\thalf in\tgoal\t\tagainst") // Flush has the error
	for _, r := range results {
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%s\t%s\t%s-%s\t%s\t%s\t%s\n",
			r.Name, r.Ours, r.Peer, r.Unit, ratioText(r.Ratio), ratioText(r.Low), ratioText(r.High), r.Goal, r.Goal.verdict(r.Ratio), r.Against)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// WriteJSON writes rows for a program: a list of objects.
func WriteJSON(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a goal is ">= 2"
	enc.SetIndent("", "  ")
	if err := enc.Encode(rows); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
