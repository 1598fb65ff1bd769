package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"lectern/adapters/textextract"
	"lectern/bench/compare"
	"lectern/domain"
)

// pdfBound is what a core must read at least, in pages/s.
const pdfBound = 10

// pdfText reads the sample PDFs one after the other, on one core.
func pdfText() compare.Trial {
	const name = "text from PDFs, on one core"
	return compare.Series{Name: name, Run: func(ctx context.Context, r compare.Runner) (found []compare.Result, err error) {
		files, err := filepath.Glob("../docs/samples/*.pdf")
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("find the sample PDFs: none is there: %w", err)
		}
		reader := textextract.New(textextract.Options{Readers: 1})
		defer func() { err = errors.Join(err, reader.Close()) }() //nolint:contextcheck // it closes whatever became of ctx
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		if _, err := readPages(ctx, reader, files); err != nil { // which compiles the reader
			return nil, err
		}
		var rates []float64
		for range 2 * r.Rounds {
			began := time.Now()
			pages, err := readPages(ctx, reader, files)
			if err != nil {
				return nil, err
			}
			rates = append(rates, float64(pages)/time.Since(began).Seconds())
		}
		result := compare.Result{Name: name, Unit: "pages/s", Against: "the bound", Goal: compare.AtLeast(1)}
		return []compare.Result{compare.Found(result, rates, slices.Repeat([]float64{pdfBound}, len(rates)))}, nil
	}}
}

// readPages returns how many pages there were.
func readPages(ctx context.Context, reader *textextract.Extractor, files []string) (pages int, err error) {
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("read a sample: %w", err)
		}
		text, err := reader.Extract(ctx, domain.FormatPDF, content)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		last := 0
		for _, block := range text.Blocks {
			last = max(last, block.Page)
		}
		pages += last
	}
	return pages, nil
}
