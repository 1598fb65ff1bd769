package outlinegen

import (
	"fmt"

	"go.uber.org/fx"

	"lectern/configs"
	"lectern/ports"
)

// Options are none: what a course is to be like, its author says.
type Options struct{}

// DecodeOptions refuses whatever the section generator.options holds.
func DecodeOptions(raw map[string]any) (Options, error) {
	var opts Options
	if err := configs.DecodeOptions(raw, &opts); err != nil {
		return Options{}, fmt.Errorf("read options of the generator outline: %w", err)
	}
	return opts, nil
}

// Module provides the generator as ports.Generator. raw is the section
// generator.options.
func Module(raw map[string]any) (fx.Option, error) {
	if _, err := DecodeOptions(raw); err != nil {
		return nil, err
	}
	return fx.Module("outlinegen", fx.Provide(fx.Annotate(New, fx.As(new(ports.Generator))))), nil
}
