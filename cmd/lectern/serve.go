package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"lectern/configs"
)

func (p *program) serveCommand() *cobra.Command {
	var listen, roles string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, with the relay and the workers",
		Long: `Serves the API over Connect, gRPC and gRPC-Web on one port, and runs the relay and
the workers. With the default config it first starts a Postgres of its own,
which the first time is fetched (about 12 MiB).

With --roles it is some of that, and other processes are the rest: api answers
calls, relay publishes the outbox and cleans up, worker does the jobs. They share
a Postgres, a broker and the data folder. Each serves its health on the port.

Ctrl-C or SIGTERM stops in order: it is unready first (shutdown_delay), then calls
are answered, jobs in hand are finished or given back. The exit code is 0, unless
that takes longer than shutdown_timeout. A second one stops at once; the next
start goes on from there.`,
		Example: `  lectern serve
  lectern serve --listen 127.0.0.1:9090 --data-dir /tmp/lectern
  lectern serve --roles api,worker --config postgres
  lectern serve --config postgres      # on your own Postgres, see configs/postgres.yaml
  LECTERN_LOG__LEVEL=debug lectern serve --config my.yaml`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.serve(cmd.Context(), map[string]string{"listen": listen, "roles": roles})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`host:port` to serve on (default what the config says, 127.0.0.1:8080)")
	cmd.Flags().StringVar(&roles, "roles", "", "what this process runs: a `list` of api, relay and worker (default what the config says, all)")
	complete(cmd, "roles", "api", "relay", "worker", "api,relay", "api,worker", "relay,worker")
	return cmd
}

func (p *program) serve(ctx context.Context, flags map[string]string) error {
	config, err := p.loadConfig(configs.ForService, flags)
	if err != nil {
		return err
	}
	ui := newProgress(p.stderr)
	log := p.logger(config.Log, false, ui)
	err = withService(ctx, config, log, ui, func(ctx context.Context, url string) error {
		ui.close() // from here on the log speaks
		ui.say("%s at %s (Ctrl-C stops it)", ready(config.Roles), url)
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
	if errors.Is(err, errInterrupted) {
		return nil // we were asked to, before it was ready
	}
	return err
}

// ready says what is.
func ready(roles configs.Roles) string {
	if roles.All() {
		return "Lectern is ready"
	}
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	what := "Lectern (" + strings.Join(names, ", ") + ") is ready"
	if !roles.Has(configs.RoleAPI) {
		what += ", with its health"
	}
	return what
}
