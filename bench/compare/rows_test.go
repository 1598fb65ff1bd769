package compare_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/bench/compare"
)

func TestABenchMayHaveTurnsOfItsOwnWithoutWarmUp(t *testing.T) {
	t.Parallel()
	var r recorder
	found, err := compare.Bench{
		Name: "a", Measure: compare.Latency(), Ops: 1, Turns: 2, Ours: r.side("ours"), Peer: r.side("peer"),
	}.Try(t.Context(), runner(9, r.settle))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "prepare ours, prepare peer, ours, peer, ours, peer", strings.Join(r.steps, ", "))
}

func TestASeriesFindsWhatItRuns(t *testing.T) {
	t.Parallel()
	s := compare.Series{Name: "s", Run: func(_ context.Context, r compare.Runner) ([]compare.Result, error) {
		require.Equal(t, 3, r.Rounds)
		return []compare.Result{
			compare.Found(compare.Result{Name: "a", Goal: compare.AtLeast(2)}, []float64{10, 20, 90}, []float64{10, 10, 10}),
			compare.Bounded(compare.Result{Name: "b"}, []float64{400}, 1000),
		}, nil
	}}
	require.Equal(t, "s", s.Title())
	found, err := s.Try(t.Context(), runner(3, settled))
	require.NoError(t, err)
	require.Equal(t, []compare.Result{
		{Name: "a", Ours: 20, Peer: 10, Ratio: 2, Low: 1, High: 9, Goal: compare.AtLeast(2)},
		{Name: "b", Ours: 400, Against: "the bound", Peer: 1000, Ratio: 0.4, Low: 0.4, High: 0.4, Goal: compare.AtMost(1)},
	}, found)
}

func TestARatioWithoutAGoalIsNeitherMetNorMissed(t *testing.T) {
	t.Parallel()
	require.True(t, compare.NoGoal().Met(1000))
	table, err := compare.Markdown(compare.Rows([]compare.Result{{Name: "a", Unit: "µs", Against: "b", Goal: compare.NoGoal()}}))
	require.NoError(t, err)
	require.Contains(t, table, "| none |  |")
}

func TestASmallRatioKeepsThousandths(t *testing.T) {
	t.Parallel()
	require.True(t, compare.AtMost(0.05).Met(0.0504))
	require.False(t, compare.AtMost(0.05).Met(0.051))
}

func TestMarkdownIsATableOfResults(t *testing.T) {
	t.Parallel()
	table, err := compare.Markdown(compare.Rows(results()))
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(`
| what | ours | against | ratio | goal | |
| --- | --- | --- | --- | --- | --- |
| command | 8400 commands/s | River: 3500 | 2.40 | >= 2 | met |
| replay | 80 µs | select: 56 | 1.43 | <= 1.3 | missed |
`, "\n"), table)
}

func TestAGoalThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, goal := range []string{"", ">= two", "> 2"} {
		_, err := compare.Markdown([]compare.Row{{Name: "a", Goal: goal}})
		require.ErrorContains(t, err, "read goal")
		_, err = compare.Plot([]compare.Row{{Name: "a", Goal: goal}}, nil)
		require.ErrorContains(t, err, "read goal")
	}
}

func TestThePlotIsXMLWithNamesGoalsAndCaption(t *testing.T) {
	t.Parallel()
	rows := append(compare.Rows(results()), compare.Row{Name: "a < b & c", Ratio: 0.004, Goal: "none"})
	plot, err := compare.Plot(rows, []string{"two CPUs"})
	require.NoError(t, err)
	var texts []string
	rects := 0
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.StartElement:
			if token.Name.Local == "rect" {
				rects++
			}
		}
	}
	require.Subset(t, texts, []string{"command", "2.40", "replay", "1.43", "a < b & c", "0.004", "two CPUs"})
	require.Equal(t, 1+len(rows), rects, "the ground, and a bar each")
	require.Contains(t, plot, "#2a9d55", "met")
	require.Contains(t, plot, "#d1495b", "missed")
}
