package configs

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// YAML writes the config as a file with every key in it. It holds no secret, and
// loads again once those are given by the environment. Options of adapters are
// written as they are, so decode them first: see Fields.
func (c Config) YAML() ([]byte, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(node(reflect.ValueOf(c))); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return text.Bytes(), nil
}

// Fields returns what an adapter's options hold by their names in the config.
func Fields(options any) map[string]any {
	v := reflect.ValueOf(options)
	fields := make(map[string]any, v.NumField())
	for field, value := range v.Fields() {
		fields[field.Tag.Get("koanf")] = value.Interface()
	}
	return fields
}

// node writes a value as it is read: see exactly.
func node(v reflect.Value) *yaml.Node {
	switch value := v.Interface().(type) {
	case time.Duration:
		return scalar(shortly(value))
	case slog.Level:
		return scalar(strings.ToLower(value.String()))
	case uuid.UUID:
		return scalar(value.String())
	case Secret:
		return scalar(value.String())
	}
	switch v.Kind() {
	case reflect.Struct:
		return section(v)
	case reflect.Map:
		return mapping(v)
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			list.Content = append(list.Content, node(v.Index(i)))
		}
		return list
	case reflect.String:
		return scalar(HidePassword(v.String()))
	case reflect.Interface:
		return node(v.Elem())
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
	}
}

func section(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for field, value := range v.Fields() {
		n.Content = append(n.Content, scalar(field.Tag.Get("koanf")), node(value))
	}
	return n
}

func mapping(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	values := map[string]reflect.Value{}
	for key, value := range v.Seq2() {
		values[key.String()] = value
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		n.Content = append(n.Content, scalar(key), node(values[key]))
	}
	return n
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// shortly writes 1m, not 1m0s.
func shortly(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
