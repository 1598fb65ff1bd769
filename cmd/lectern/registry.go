package main

import (
	"maps"
	"slices"

	"go.uber.org/fx"

	"lectern/adapters/memorybroker"
	"lectern/adapters/memorycache"
	"lectern/adapters/postgresbroker"
	"lectern/adapters/redisbroker"
	"lectern/adapters/rediscache"
)

// brokerKind is what the program knows of a broker: how to make it from the
// config's section broker.options.
type brokerKind struct {
	module func(options map[string]any) (fx.Option, error)
	// dsn names the option that takes a Postgres address: beside an embedded
	// server it is filled in. Empty for a broker that needs none.
	dsn string
}

// withAddress returns the options with the address in them of a server of ours,
// for a broker on Postgres whose options name no other.
func (k brokerKind) withAddress(options map[string]any, a addresses) map[string]any {
	if _, given := options[k.dsn]; k.dsn == "" || a.broker == "" || given {
		return options
	}
	all := map[string]any{k.dsn: a.broker}
	maps.Copy(all, options)
	return all
}

// brokers is the registry: broker.kind to broker. A new one is a line here, a
// folder under adapters and a file in configs.
func brokers() map[string]brokerKind {
	return map[string]brokerKind{
		"memory":   {module: memorybroker.Module},
		"postgres": {module: postgresbroker.Module, dsn: "dsn"},
		"redis":    {module: redisbroker.Module},
	}
}

// brokerKinds returns the registry's names in order.
func brokerKinds() []string { return slices.Sorted(maps.Keys(brokers())) }

// caches is the registry of caches: cache.kind to what makes one from the
// config's section cache.options.
func caches() map[string]func(options map[string]any) (fx.Option, error) {
	return map[string]func(map[string]any) (fx.Option, error){
		"memory": memorycache.Module,
		"redis":  rediscache.Module,
	}
}

func cacheKinds() []string { return slices.Sorted(maps.Keys(caches())) }
