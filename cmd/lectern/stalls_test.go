package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/configs"
	"lectern/domain"
)

// The broker has the course's job, and no worker ever does it: it might as well
// have lost it, or made a dead letter of it.
func TestACourseWhoseJobNobodyDoesFailsAndItsWatchersAreTold(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, slog.New(slog.DiscardHandler), func(c *configs.Config) {
		c.Broker, c.Pipeline.StallAfter = onPostgres(), time.Second
	}, fx.Invoke(prepareBroker, runRelay, runStallWatch))
	c, _ := s.course(t, domain.QueueStructureAnalysis, domain.PipelineAutomatic)
	_, err := s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, "stall-"+c.ID.String())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last domain.Event
	require.NoError(t, s.uploads.Watch(ctx, s.owner, c.ID, 0, func(e domain.Event) error { last = e; return nil }))
	require.Equal(t, domain.StateFailed, s.state(t, c))
	require.Contains(t, string(last.Data), "no worker has done it")
}
