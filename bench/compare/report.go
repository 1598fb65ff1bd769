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

// AtLeast is the goal of a ratio of rates, AtMost that of a ratio of times.
func AtLeast(limit float64) Goal { return Goal{least: true, limit: limit} }

// AtMost is the goal of a ratio that may be limit and no more.
func AtMost(limit float64) Goal { return Goal{limit: limit} }

// Met says whether a ratio, as it is reported, keeps the goal.
func (g Goal) Met(ratio float64) bool {
	if g.least {
		return hundredths(ratio) >= g.limit
	}
	return hundredths(ratio) <= g.limit
}

func (g Goal) String() string {
	if g.least {
		return fmt.Sprintf(">= %g", g.limit)
	}
	return fmt.Sprintf("<= %g", g.limit)
}

func hundredths(f float64) float64 { return math.Round(f*100) / 100 }

// WriteTable writes the results for a reader.
func WriteTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "bench\tours\tpeer\tunit\tratio\thalf in\tgoal\t\tagainst") // Flush has the error
	for _, r := range results {
		verdict := "missed"
		if r.Goal.Met(r.Ratio) {
			verdict = "met"
		}
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%s\t%.2f\t%.2f-%.2f\t%s\t%s\t%s\n",
			r.Name, r.Ours, r.Peer, r.Unit, r.Ratio, r.Low, r.High, r.Goal, verdict, r.Against)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// WriteJSON writes the results for a program: a list of objects.
func WriteJSON(w io.Writer, results []Result) error {
	type row struct {
		Name    string  `json:"name"`
		Value   float64 `json:"value"`
		Unit    string  `json:"unit"`
		Against string  `json:"against"`
		Ratio   float64 `json:"ratio"`
		Goal    string  `json:"goal"`
	}
	rows := make([]row, len(results))
	for i, r := range results {
		against := fmt.Sprintf("%s: %.0f", r.Against, r.Peer)
		rows[i] = row{r.Name, math.Round(r.Ours), r.Unit, against, hundredths(r.Ratio), r.Goal.String()}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a goal is ">= 2"
	enc.SetIndent("", "  ")
	if err := enc.Encode(rows); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
