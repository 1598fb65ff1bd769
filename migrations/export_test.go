package migrations

import "context"

// UpTo migrates to a version that is not the latest.
func (m *Migrator) UpTo(ctx context.Context, version int64) error {
	_, err := m.provider.UpTo(ctx, version)
	return err
}
