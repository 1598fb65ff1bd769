package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/adapters/postgres"
	"lectern/ports"
)

// What pg_cron does where it is there is proven in e2e, by `make test-ops`.
func TestWithoutPgCronTheErrorSaysWhatToDoAndNothingIsToBeTakenAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := postgres.ScheduleRetention(t.Context(), b.db.Owner, []ports.RetentionRule{keysRule(1)})
	require.EqualError(t, err, `schedule clean-up: retention.scheduler is pg_cron, which the database "`+b.db.Name+`" doesn't have: `+
		`let an administrator add pg_cron to shared_preload_libraries, set cron.database_name to "`+b.db.Name+`", restart the server, `+
		"and run in that database `create extension pg_cron; grant usage on schema cron to \"lectern_owner\"`; or set retention.scheduler to service")
	require.NoError(t, postgres.UnscheduleRetention(t.Context(), b.db.Owner))
}
