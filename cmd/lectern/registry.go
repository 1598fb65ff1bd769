package main

import (
	"maps"
	"slices"

	"go.uber.org/fx"

	"lectern/adapters/fileblobs"
	"lectern/adapters/kafkabroker"
	"lectern/adapters/memorybroker"
	"lectern/adapters/memorycache"
	"lectern/adapters/natsbroker"
	"lectern/adapters/openaigen"
	"lectern/adapters/outlinegen"
	"lectern/adapters/postgresbroker"
	"lectern/adapters/redisbroker"
	"lectern/adapters/rediscache"
	"lectern/adapters/s3blobs"
	"lectern/configs"
)

// brokerKind is what the program knows of a broker: how to read the config's
// section broker.options, and how to make the broker from it.
type brokerKind struct {
	decode func(options map[string]any) (any, error)
	module func(options map[string]any) (fx.Option, error)
	// dsn names the option that takes a Postgres address: beside an embedded
	// server it is filled in. Empty for a broker that needs none.
	dsn string
	// local: it is within one process.
	local bool
}

// brokers is the registry: broker.kind to broker. A new one is a line here, a
// folder under adapters and a file in configs.
func brokers() map[string]brokerKind {
	return map[string]brokerKind{
		"kafka":    {decode: decoder(kafkabroker.DecodeOptions), module: kafkabroker.Module},
		"memory":   {decode: decoder(memorybroker.DecodeOptions), module: memorybroker.Module, local: true},
		"nats":     {decode: decoder(natsbroker.DecodeOptions), module: natsbroker.Module},
		"postgres": {decode: decoder(postgresbroker.DecodeOptions), module: postgresbroker.Module, dsn: "dsn"},
		"redis":    {decode: decoder(redisbroker.DecodeOptions), module: redisbroker.Module},
	}
}

// decoder forgets the type of an adapter's options.
func decoder[O any](decode func(map[string]any) (O, error)) func(map[string]any) (any, error) {
	return func(raw map[string]any) (any, error) { return decode(raw) }
}

// withAddress returns the options with the address in them of a server of ours,
// for a broker on Postgres whose options name no other.
func (k brokerKind) withAddress(options map[string]any, a addresses) map[string]any {
	if k.dsn == "" || a.broker == "" || !isEmpty(options[k.dsn]) {
		return options
	}
	all := maps.Clone(options)
	if all == nil {
		all = map[string]any{}
	}
	all[k.dsn] = a.broker
	return all
}

// isEmpty tells whether a config says nothing at a key: an empty value is none.
func isEmpty(value any) bool { return value == nil || value == "" }

// brokerKinds returns the registry's names in order.
func brokerKinds() []string { return slices.Sorted(maps.Keys(brokers())) }

// localBrokers returns those that processes can't share.
func localBrokers() []string {
	return slices.DeleteFunc(brokerKinds(), func(kind string) bool { return !brokers()[kind].local })
}

// kind is the same of a cache and the section cache.options, of a generator and
// the section generator.options, and of what keeps documents and documents.options.
type kind struct {
	decode func(options map[string]any) (any, error)
	module func(options map[string]any) (fx.Option, error)
}

// caches is the registry of caches: cache.kind to cache.
func caches() map[string]kind {
	return map[string]kind{
		"memory": {decode: decoder(memorycache.DecodeOptions), module: memorycache.Module},
		"redis":  {decode: decoder(rediscache.DecodeOptions), module: rediscache.Module},
	}
}

func cacheKinds() []string { return slices.Sorted(maps.Keys(caches())) }

// documentStores is the registry of what keeps documents: documents.kind to store.
func documentStores() map[string]kind {
	return map[string]kind{
		configs.DocumentsFolder: {decode: decoder(fileblobs.DecodeOptions), module: fileblobs.Module},
		"s3":                    {decode: decoder(s3blobs.DecodeOptions), module: s3blobs.Module},
	}
}

func documentKinds() []string { return slices.Sorted(maps.Keys(documentStores())) }

// generators is the registry of what writes courses: generator.kind to generator.
func generators() map[string]kind {
	return map[string]kind{
		"openai":  {decode: decoder(openaigen.DecodeOptions), module: openaigen.Module},
		"outline": {decode: decoder(outlinegen.DecodeOptions), module: outlinegen.Module},
	}
}

func generatorKinds() []string { return slices.Sorted(maps.Keys(generators())) }
