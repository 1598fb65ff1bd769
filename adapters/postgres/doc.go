// Package postgres stores courses, commands, the outbox and the inbox in
// Postgres through pgx. The rules live in the database's functions (see
// migrations): this package calls them, one round trip each, and turns
// SQLSTATEs into domain errors.
//
// It does not migrate, and it logs in as a role of the service, never as the
// owner of the tables.
package postgres
