package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"lectern/app"
	"lectern/configs"
	"lectern/domain"
)

// One process has the API and the workers, the other the relay, whose poll
// interval is an hour: each stage's jobs wake it, or the course never ends.
func TestWhatWorkersQueueWakesTheRelayOfAnotherProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runNotifier, runWorkers))
	relay := s.config
	relay.Relay.PollMin, relay.Relay.PollMax = time.Hour, time.Hour
	listener := s.otherProcess(t, relay, fx.Invoke(runNotifier, runEntryListener, runRelay))
	require.Eventually(t, listener.Hears, patience, 10*time.Millisecond)

	c, _ := s.course(t, domain.QueueDocumentProcessing, domain.PipelineAutomatic)
	_, err := s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, "wake-"+c.ID.String())
	require.NoError(t, err)
	s.completes(t, c)
	require.True(t, listener.Hears())
}

// One process answers calls; what another commits wakes those who watch the
// course there, long before they would look.
func TestWhatAnotherProcessCommitsWakesTheWatchersOfItsCourse(t *testing.T) {
	t.Parallel()
	var signals app.Signals
	var listener *app.EventListener
	s := newSite(t, onPostgres(), fx.Invoke(prepareBroker, runNotifier, runEventListener), fx.Populate(&signals, &listener))
	require.Eventually(t, listener.Hears, patience, 10*time.Millisecond)
	c, _ := s.course(t, domain.QueueStructureAnalysis, domain.PipelineAutomatic)
	other, _ := s.course(t, domain.QueueStructureAnalysis, domain.PipelineAutomatic)
	_, err := s.uploads.InitiateGeneration(t.Context(), s.owner, c.ID, "wake-"+c.ID.String())
	require.NoError(t, err)
	changed, stop := signals.Events.Watch(c.ID)
	defer stop()
	others, stopOthers := signals.Events.Watch(other.ID)
	defer stopOthers()

	s.otherProcess(t, s.config, fx.Invoke(runNotifier, runRelay, runWorkers))
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("nobody told of the worker's events")
	}
	s.completes(t, c)
	require.Empty(t, others)
}

// otherProcess starts another service on the site's database.
func (s *site) otherProcess(t *testing.T, c configs.Config, chosen ...fx.Option) *app.EntryListener {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := openDatabase(t.Context(), c, log, nil)
	require.NoError(t, err)
	_, fail := context.WithCancelCause(t.Context())
	parts, err := provide(c, log, db, newParts(fail))
	require.NoError(t, err)
	var listener *app.EntryListener
	running := fx.New(parts, fx.Options(chosen...), fx.Populate(&listener))
	require.NoError(t, running.Start(t.Context()))
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), c.ShutdownTimeout)
		defer cancel()
		require.NoError(t, running.Stop(stopping))
		require.NoError(t, db.close(stopping))
	})
	return listener
}
