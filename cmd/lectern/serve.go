package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"lectern/configs"
)

func (p *program) serveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, with the relay and the workers",
		Long: `Serves the API over Connect, gRPC and gRPC-Web on one port, and runs the relay and
the workers. With the default config it first starts a Postgres of its own,
which the first time is fetched (about 12 MiB).

Ctrl-C stops in order: calls are answered, jobs in hand are finished or given
back. A second Ctrl-C stops at once; the next start goes on from there.`,
		Example: `  lectern serve
  lectern serve --listen 127.0.0.1:9090 --data-dir /tmp/lectern
  lectern serve --config postgres      # on your own Postgres, see configs/postgres.yaml
  LECTERN_LOG__LEVEL=debug lectern serve --config my.yaml`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`host:port` to serve on (default what the config says, 127.0.0.1:8080)")
	return cmd
}

func (p *program) serve(ctx context.Context, listen string) error {
	config, err := p.loadConfig(configs.ForService, map[string]string{"listen": listen})
	if err != nil {
		return err
	}
	ui := newProgress(p.stderr)
	log := p.logger(config.Log, false, ui)
	err = withService(ctx, config, log, ui, func(ctx context.Context, url string) error {
		ui.close() // from here on the log speaks
		ui.say("Lectern is ready at %s (Ctrl-C stops it)", url)
		if config.Postgres.Embedded {
			p.resume(ctx, config, url, ui)
		}
		<-ctx.Done()
		log.Info("stopping")
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil // we were asked to
	})
	ui.close()
	return err
}
