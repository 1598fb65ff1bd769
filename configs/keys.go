package configs

import (
	"reflect"
	"slices"
	"strings"
)

// The sections that only an adapter knows.
const (
	brokerOptions = "broker.options"
	cacheOptions  = "cache.options"
)

func isOptions(key string) bool { return key == brokerOptions || key == cacheOptions }

func inOptions(key string) bool {
	return strings.HasPrefix(key, brokerOptions+".") || strings.HasPrefix(key, cacheOptions+".")
}

// keys are all there are: each section's keys, in the order of Config. The
// whole is the section "".
type keys map[string][]string

func knownKeys() keys {
	known := keys{}
	known.collect("", reflect.TypeFor[Config]())
	return known
}

func (k keys) collect(section string, t reflect.Type) {
	for field := range t.Fields() {
		name := field.Tag.Get("koanf")
		k[section] = append(k[section], name)
		if field.Type.Kind() == reflect.Struct {
			k.collect(join(section, name), field.Type)
		}
	}
}

func (k keys) isSection(key string) bool { return k[key] != nil }

// within returns the names of a section's keys.
func (k keys) within(section string) []string { return k[section] }

// has tells whether there is such a key. All that is under an adapter's options is.
func (k keys) has(key string) bool {
	name := key[strings.LastIndexByte(key, '.')+1:]
	return slices.Contains(k[parent(key)], name) || inOptions(key)
}

// variables returns the environment's names for a section and what is in it.
func (k keys) variables(section string) []string {
	var names []string
	for _, name := range k[section] {
		switch key := join(section, name); {
		case k.isSection(key):
			names = append(names, k.variables(key)...)
		case isOptions(key):
			names = append(names, variable(key)+"__*")
		default:
			names = append(names, variable(key))
		}
	}
	return names
}

func variable(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}
