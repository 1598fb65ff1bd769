package configs

import "slices"

// Role is a part of the service that a process may run.
type Role string

// The roles.
const (
	RoleAPI    Role = "api"    // answers calls
	RoleRelay  Role = "relay"  // publishes the outbox, and cleans up
	RoleWorker Role = "worker" // does the jobs; the backup listener is its too
)

// Roles are those of a process.
type Roles []Role

// AllRoles are what a process runs whose config says nothing.
func AllRoles() Roles { return Roles{RoleAPI, RoleRelay, RoleWorker} }

// Has tells whether the role is one of them.
func (r Roles) Has(role Role) bool { return slices.Contains(r, role) }

// All tells whether they are all there are.
func (r Roles) All() bool {
	return !slices.ContainsFunc(AllRoles(), func(role Role) bool { return !r.Has(role) })
}

// NeedBroker tells whether one of them publishes or consumes.
func (r Roles) NeedBroker() bool { return r.Has(RoleRelay) || r.Has(RoleWorker) }

// NeedDocuments tells whether one of them keeps or reads documents.
func (r Roles) NeedDocuments() bool { return r.Has(RoleAPI) || r.Has(RoleWorker) }

// validateRoles also refuses what several processes can't share.
func (l *loader) validateRoles(c Config, r Request) {
	for i, role := range c.Roles {
		if !AllRoles().Has(role) {
			l.problem(rolesKey, "%q is not one of api, relay, worker", role)
		} else if slices.Contains(c.Roles[:i], role) {
			l.problem(rolesKey, "names %s twice", role)
		}
	}
	if len(c.Roles) == 0 {
		l.problem(rolesKey, "must name one of api, relay, worker, or more")
	}
	if c.Roles.All() || r.Use != ForService {
		return
	}
	const instead = "leave out %s, or "
	if c.Postgres.Embedded {
		l.problem(rolesKey, "the server that postgres.embedded starts is one process's, which must have all roles: "+instead+
			"give all processes a Postgres of your own, see configs/postgres.yaml", rolesKey)
	}
	if slices.Contains(r.LocalBrokers, c.Broker.Kind) {
		l.problem(rolesKey, "the broker %s is within one process, which must have all roles: "+instead+
			"choose a broker.kind that processes share, such as postgres", c.Broker.Kind, rolesKey)
	}
}

const rolesKey = "roles"
