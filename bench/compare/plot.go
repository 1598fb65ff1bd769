package compare

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 1180
	plotLabels = 640 // of the names, left of the bars
	plotValues = 80  // of the ratios, right of them
	plotRow    = 22
	plotTop    = 74
)

// axis is logarithmic: twice as fast is as far from 1 as half as fast.
type axis struct{ low, high float64 }

func axisOf(rows []Row, goals []Goal) axis {
	a := axis{low: 0.5, high: 2}
	for i, r := range rows {
		for _, v := range []float64{r.Ratio, goals[i].limit} {
			if v > 0 {
				a.low, a.high = math.Min(a.low, v), math.Max(a.high, v)
			}
		}
	}
	return axis{math.Pow(10, math.Floor(math.Log10(a.low))), math.Pow(10, math.Ceil(math.Log10(a.high)))}
}

func (a axis) x(v float64) float64 {
	width := float64(plotWidth - plotLabels - plotValues)
	return plotLabels + width*math.Log(math.Max(v, a.low)/a.low)/math.Log(a.high/a.low)
}

// Plot is an SVG of the rows' ratios and goals, with a caption of lines.
func Plot(rows []Row, caption []string) (string, error) {
	goals := make([]Goal, len(rows))
	for i, r := range rows {
		var err error
		if goals[i], err = r.goal(); err != nil {
			return "", err
		}
	}
	a := axisOf(rows, goals)
	bottom := plotTop + plotRow*len(rows)
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, bottom+30+16*len(caption))
	svg.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	text(&svg, 10, 22, `font-size="16" font-weight="bold"`, "Lectern beside others: the ratio of ours to theirs")
	text(&svg, 10, 42, `fill="#555"`, "Green: the goal, a black line, is met; red: it is missed; grey: there is none. Rates should be right of their goal, times left of it.")
	for tick := a.low; tick <= a.high*1.001; tick *= 10 {
		line(&svg, a.x(tick), plotTop-6, float64(bottom), "#ddd", 1)
		text(&svg, a.x(tick), plotTop-10, `text-anchor="middle" fill="#555"`, fmt.Sprintf("%g", math.Round(tick*1000)/1000))
	}
	line(&svg, a.x(1), plotTop-6, float64(bottom), "#888", 1)
	for i, r := range rows {
		plotBar(&svg, a, r, goals[i], float64(plotTop+plotRow*i))
	}
	for i, c := range caption {
		text(&svg, 10, float64(bottom+26+16*i), `fill="#555"`, c)
	}
	svg.WriteString("</svg>\n")
	return svg.String(), nil
}

// plotBar reaches from 1, which is what the peer does.
func plotBar(svg *strings.Builder, a axis, r Row, g Goal, y float64) {
	colour := map[string]string{"met": "#2a9d55", "missed": "#d1495b", "": "#999"}[g.verdict(r.Ratio)]
	from, to := min(a.x(1), a.x(r.Ratio)), max(a.x(1), a.x(r.Ratio))
	fmt.Fprintf(svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", from, y+4, max(to-from, 1), colour)
	if g != NoGoal() {
		line(svg, a.x(g.limit), y+1, y+21, "black", 2)
	}
	text(svg, plotLabels-8, y+15, `text-anchor="end"`, r.Name)
	text(svg, plotWidth-plotValues+8, y+15, "", ratioText(r.Ratio))
}

func text(svg *strings.Builder, x, y float64, style, s string) {
	fmt.Fprintf(svg, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, style, html.EscapeString(s))
}

func line(svg *strings.Builder, x, y1, y2 float64, colour string, width int) {
	fmt.Fprintf(svg, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%d"/>`+"\n", x, y1, x, y2, colour, width)
}
