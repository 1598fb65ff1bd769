package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lectern/configs"
)

// A draft is an order on disk from before its course is made until it has been
// started. Should the program be killed in between, the next start places the
// order again: by the same keys and the same files it is the same course.

const draftsFolder = "drafts"

// placeSafely places the order so that a kill at any moment loses nothing, and
// a refusal leaves nothing half done.
func (g *generation) placeSafely(ctx context.Context, c client, draft string, ui progress) (string, error) {
	id, err := c.place(ctx, g.order, ui)
	switch {
	case err == nil:
		return id, os.Remove(draft)
	case ctx.Err() != nil:
		return id, ctx.Err() // the next start goes on
	case id != "":
		err = errors.Join(err, c.cancel(ctx, id, g.order.Key))
	}
	return id, errors.Join(err, os.Remove(draft))
}

// resume places the orders that an earlier run was stopped in the middle of.
func (p *program) resume(ctx context.Context, config configs.Config, url string, ui progress) {
	drafts, err := findDrafts(config)
	if err != nil {
		ui.say("Cannot look for unfinished orders: %v", err)
		return
	}
	p.resumeDrafts(ctx, drafts, url, ui)
}

func (p *program) resumeDrafts(ctx context.Context, drafts []string, url string, ui progress) {
	c, err := newClient(url)
	for _, draft := range drafts {
		if err == nil && ctx.Err() == nil {
			p.resumeOne(ctx, c, draft, ui)
		}
	}
}

// resumeOne places one order again. One that can't be is given up: its
// documents may be gone.
func (p *program) resumeOne(ctx context.Context, c client, draft string, ui progress) {
	var o order
	text, err := os.ReadFile(draft)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	var id string
	if err == nil {
		ui.say("Taking up %q, which an earlier run did not get to start", o.Title)
		id, err = c.place(ctx, o, ui)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		ui.say("Giving up %q: %v", o.Title, err)
		if id != "" {
			err = c.cancel(ctx, id, o.Key)
		}
	}
	if err := errors.Join(err, os.Remove(draft)); err != nil {
		ui.say("Cannot forget %s: %v", draft, err)
	}
}

func findDrafts(config configs.Config) ([]string, error) {
	dir, err := dataDir(config)
	if err != nil {
		return nil, err
	}
	// Not by a pattern: the folder's own name may look like one.
	dir = filepath.Join(dir, draftsFolder)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list unfinished orders: %w", err)
	}
	var drafts []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			drafts = append(drafts, filepath.Join(dir, e.Name()))
		}
	}
	return drafts, nil
}

func writeDraft(config configs.Config, o order) (string, error) {
	dir, err := dataDir(config)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, draftsFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("note order: %w", err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("note order: %w", err)
	}
	draft := filepath.Join(dir, o.Key+".json")
	return draft, writeWhole(draft, text)
}
