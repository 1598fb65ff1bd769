package migrations_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
	"lectern/migrations"
)

// A database that has a migration never sees it again: what is edited there is
// missing in all that were made before. applied.sha256 is what `sha256sum
// [0-9]*.sql` says; a new migration adds its line.
func TestNoMigrationChangesOnceItIsApplied(t *testing.T) {
	t.Parallel()
	list, err := os.Open("applied.sha256")
	require.NoError(t, err)
	defer func() { require.NoError(t, list.Close()) }()
	want := map[string]string{}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		want[name] = sum
	}
	names, err := filepath.Glob("[0-9]*.sql")
	require.NoError(t, err)
	require.Len(t, want, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		require.Equal(t, want[name], hex.EncodeToString(sum[:]), "%s: leave it as it is, and add another", name)
	}
}

// Since the first that others had.
func TestADatabaseOfAnyVersionIsUpgradedWithItsRows(t *testing.T) {
	t.Parallel()
	const first = 13
	latest, err := migrations.Latest()
	require.NoError(t, err)
	for version := int64(first); version < latest; version++ {
		t.Run(fmt.Sprintf("from %d", version), func(t *testing.T) {
			t.Parallel()
			db := open(t, stack.Database(t).Owner)
			m := migrator(t, db, migrations.DefaultRolePrefix)
			require.NoError(t, m.UpTo(t.Context(), version))
			_, err := db.ExecContext(t.Context(), rows)
			require.NoError(t, err)
			_, err = m.Up(t.Context())
			require.NoError(t, err)
			var pending int
			require.NoError(t, db.QueryRowContext(t.Context(), `select count(*) from lectern.job_outbox where processed_at is null`).Scan(&pending))
			require.Equal(t, 1, pending)
		})
	}
}
