package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Use says what a config is loaded for, and so which addresses it must have.
type Use int

// The uses.
const (
	ForService   Use = iota // those of the process's roles
	ForMigration            // the owner
	ForRoles                // an administrator; the broker may lack its address yet
	ForRolesSQL             // nobody: nothing is connected to
	ForBroker               // none of the database's: the broker alone
)

// Request says which config to load.
type Request struct {
	Source         string            // a built-in name or a file's path; "" means Embedded
	Environ        []string          // "NAME=value", as os.Environ returns
	Flags          map[string]string // key to value, from the command line
	BrokerKinds    []string          // the kinds there are
	CacheKinds     []string          // likewise
	DocumentKinds  []string          // likewise, of what keeps documents
	GeneratorKinds []string          // likewise
	LocalBrokers   []string          // the kinds of brokers that are within one process
	Use            Use
	// DecodeBroker reads the options of a broker of one of the kinds, or says what
	// is wrong with them. May be nil.
	DecodeBroker    func(Config, Broker) (any, error)
	DecodeCache     func(Config) (any, error) // the same of a cache
	DecodeDocuments func(Config) (any, error) // the same of what keeps documents
	DecodeGenerator func(Config) (any, error) // the same of a generator
}

// Load reads the source, then LECTERN_* variables, then flags; the later wins.
// Its error lists every problem, one a line, each with its place.
func Load(r Request) (Config, error) {
	in, err := readSource(r.Source)
	if err != nil {
		return Config{}, err
	}
	l := loader{known: knownKeys(), origins: in.lines, merged: koanf.New(".")}
	l.number(in.values)
	l.lengthen(in.values)
	l.add(in.values)
	l.addFile(in)
	l.addEnviron(r.Environ)
	l.addFlags(r.Flags)
	l.refuseHidden()
	l.list()

	config := Default()
	l.decode(&config)
	l.validate(config, r.withDecoders(config.Roles))
	if len(l.problems) > 0 {
		return Config{}, fmt.Errorf("read config %s:\n%w", in.name, errors.Join(l.problems...))
	}
	return config, nil
}

// withDecoders gives a request that reads no options what it can call. Those of
// what none of the process's roles uses are not read: passwords may be kept
// from it.
func (r Request) withDecoders(roles Roles) Request {
	noAddresses := r.Use == ForRoles || r.Use == ForRolesSQL // they may not be there yet
	serves := r.Use == ForService
	if r.DecodeBroker == nil || noAddresses || serves && !roles.NeedBroker() {
		r.DecodeBroker = func(Config, Broker) (any, error) { return nil, nil } //nolint:nilnil // nobody looks
	}
	r.DecodeCache = orNobody(r.DecodeCache, !noAddresses && (!serves || roles.Has(RoleAPI)))
	r.DecodeDocuments = orNobody(r.DecodeDocuments, serves && roles.NeedDocuments())
	r.DecodeGenerator = orNobody(r.DecodeGenerator, serves && roles.Has(RoleWorker))
	return r
}

func orNobody(decode func(Config) (any, error), used bool) func(Config) (any, error) {
	if decode == nil || !used {
		return func(Config) (any, error) { return nil, nil } //nolint:nilnil // nobody looks
	}
	return decode
}

// loader gathers values, where each came from, and what is wrong with them.
type loader struct {
	known    keys
	origins  map[string]string // key to its place
	merged   *koanf.Koanf
	problems []error
}

// problem records what is wrong with a key.
func (l *loader) problem(key, format string, args ...any) {
	place := key
	if origin := l.origins[key]; origin != "" {
		place = origin + ": " + key
	}
	l.problems = append(l.problems, fmt.Errorf("%s: "+format, append([]any{place}, args...)...))
}

// pipelineSection may stand for its mode alone, the one thing that it once said.
const (
	pipelineSection = "pipeline"
	pipelineMode    = pipelineSection + ".mode"
)

// lengthen makes `pipeline: manual` of a file the section that it is short for.
func (l *loader) lengthen(values map[string]any) {
	if mode, ok := values[pipelineSection].(string); ok {
		values[pipelineSection] = map[string]any{"mode": mode}
		l.origins[pipelineMode] = l.origins[pipelineSection]
	}
}

// add merges nested values over those there are.
func (l *loader) add(values map[string]any) {
	if err := l.merged.Load(confmap.Provider(values, ""), nil); err != nil {
		l.problems = append(l.problems, fmt.Errorf("merge config: %w", err))
	}
}

// set merges one value.
func (l *loader) set(key, origin string, value any) {
	l.origins[key] = origin
	if err := l.merged.Set(key, value); err != nil {
		l.problem(key, "%v", err)
	}
}

// addFile refuses what a file has and nobody knows.
func (l *loader) addFile(in source) {
	for _, key := range in.keys {
		if l.known.has(key) || !l.known.isSection(parent(key)) || parent(key) == alsoConsume {
			continue // known, or within what was refused already
		}
		l.problem(key, "unknown key; allowed here: %s", strings.Join(l.known.within(parent(key)), ", "))
		l.merged.Delete(key)
	}
}

func (l *loader) addFlags(flags map[string]string) {
	for key, value := range flags {
		l.set(key, "--"+strings.ReplaceAll(key, "_", "-"), value)
	}
}

const envPrefix = "LECTERN_"

// addEnviron takes LECTERN_RELAY__BATCH_SIZE for relay.batch_size. An empty
// variable counts as not set, as it does for most programs.
func (l *loader) addEnviron(environ []string) {
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || reserved(name) {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__", ".")
		if key == pipelineSection {
			key = pipelineMode
		}
		switch {
		case !l.known.has(key) || l.known.isSection(key):
			l.problems = append(l.problems, fmt.Errorf("%s: unknown variable; allowed: %s", name, strings.Join(l.variables(key), ", ")))
		case value != "":
			l.set(key, name, value)
		}
	}
}

// reserved tells the variables that are no keys of a config: LECTERN_CONFIG
// names the config itself, and LECTERN_TEST_* are the addresses that the tests
// hand to the servers they start, from which they may start this program too.
func reserved(name string) bool {
	return name == envPrefix+"CONFIG" || strings.HasPrefix(name, envPrefix+"TEST_")
}

// variables names those nearest to a key that there is not.
func (l *loader) variables(key string) []string {
	section := key
	for section != "" && !l.known.isSection(section) {
		section = parent(section)
	}
	names := l.known.variables(section)
	if section == "" {
		names = append(names, envPrefix+"CONFIG")
	}
	return names
}

func parent(key string) string {
	return key[:max(0, strings.LastIndexByte(key, '.'))]
}
