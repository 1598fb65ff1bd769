package configs

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The sections that only an adapter knows.
const (
	brokerOptions    = "broker.options"
	cacheOptions     = "cache.options"
	documentsOptions = "documents.options"
	generatorOptions = "generator.options"
	oldOptions       = alsoConsume + "." + anyNumber + ".options"
)

func allOptions() []string {
	return []string{brokerOptions, cacheOptions, documentsOptions, generatorOptions, oldOptions}
}

// alsoConsume is the one list of sections: they are numbered from 0, so that a
// key of one, and a variable for it, has a name like any other. anyNumber stands
// for all numbers.
const (
	alsoConsume = "broker.also_consume"
	anyNumber   = "n"
)

// general returns the key with anyNumber in the place of a number.
func general(key string) string {
	item, within := strings.CutPrefix(key, alsoConsume+".")
	number, rest, deeper := strings.Cut(item, ".")
	if _, err := strconv.ParseUint(number, 10, 16); !within || err != nil {
		return key
	}
	if !deeper {
		return join(alsoConsume, anyNumber)
	}
	return join(join(alsoConsume, anyNumber), rest)
}

func isOptions(key string) bool {
	return slices.Contains(allOptions(), general(key))
}

func inOptions(key string) bool {
	return slices.ContainsFunc(allOptions(), func(options string) bool {
		return strings.HasPrefix(general(key), options+".")
	})
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
		switch inner := join(section, name); {
		case field.Type.Kind() == reflect.Struct:
			k.collect(inner, field.Type)
		case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			k[inner] = []string{anyNumber}
			k.collect(join(inner, anyNumber), field.Type.Elem())
		}
	}
}

func (k keys) isSection(key string) bool { return k[general(key)] != nil }

// within returns the names of a section's keys.
func (k keys) within(section string) []string { return k[general(section)] }

// has tells whether there is such a key. All that is under an adapter's options is.
func (k keys) has(key string) bool {
	key = general(key)
	name := key[strings.LastIndexByte(key, '.')+1:]
	return slices.Contains(k[parent(key)], name) || inOptions(key)
}

// variables returns the environment's names for a section and what is in it.
func (k keys) variables(section string) []string {
	var names []string
	for _, name := range k.within(section) {
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
