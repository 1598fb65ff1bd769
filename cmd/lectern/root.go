package main

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"lectern/configs"
)

// program is what all subcommands share.
type program struct {
	name           string // as it was typed, for commands that we suggest
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer

	// Flags of every subcommand, and --server of those that call one.
	config, dataDir, server string
	verbose                 bool
}

// run runs a command line and returns the exit code.
func run(ctx context.Context, p *program, args []string) int {
	root := p.rootCommand() //nolint:contextcheck // ExecuteContext hands it to each command
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	return p.report(root.ExecuteContext(ctx))
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lectern",
		Short: "Turn a title and documents into a course",
		Long: `Lectern turns a title and a pile of documents into a course, stage by stage, and
never loses or doubles a job on the way.

Nothing needs to be set up: by default Lectern runs a Postgres of its own and
keeps its data in a folder (see --data-dir).`,
		Example: `  lectern generate --title "Beekeeping for beginners"
  lectern generate --title "Our sales course" --style practical notes.docx talk.pdf
  lectern serve`,
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.config, "config", "", "built-in config ("+strings.Join(configs.Names(), ", ")+") or a YAML `file`;\n"+
		"LECTERN_CONFIG says it too (default "+configs.Embedded+")")
	flags.StringVar(&p.dataDir, "data-dir", "", "`folder` for data (default ~/.local/share/lectern, for root /var/lib/lectern)")
	flags.BoolVarP(&p.verbose, "verbose", "v", false, "log everything to standard error")
	root.SetFlagErrorFunc(misuse)
	complete(root, "config", configs.Names()...)
	root.AddCommand(p.serveCommand(), p.migrateCommand(), p.generateCommand(),
		p.listCommand(), p.showCommand(), p.watchCommand(), p.outboxCommand(), p.topicsCommand(), p.configCommand(), p.versionCommand())
	return root
}

// loadConfig reads the config that the command line and the environment name.
func (p *program) loadConfig(use configs.Use, flags map[string]string) (configs.Config, error) {
	source := p.config
	for _, pair := range p.environ {
		if name, ok := strings.CutPrefix(pair, "LECTERN_CONFIG="); ok && source == "" {
			source = name
		}
	}
	set := map[string]string{}
	for key, value := range flags {
		if value != "" {
			set[key] = value
		}
	}
	if p.dataDir != "" {
		set["data_dir"] = p.dataDir
	}
	config, err := configs.Load(configs.Request{
		Source: source, Environ: p.environ, Flags: set, Use: use,
		BrokerKinds: brokerKinds(), LocalBrokers: localBrokers(), DecodeBroker: decodeBroker,
		CacheKinds: cacheKinds(), DecodeCache: decodeCache,
		DocumentKinds: documentKinds(), DecodeDocuments: decodeDocuments,
		GeneratorKinds: generatorKinds(), DecodeGenerator: decodeGenerator,
	})
	if err != nil {
		return config, inputError{err}
	}
	return config, nil
}

// ownService are the flags of a service that a command runs for its own use: all
// of it, for nobody else.
func ownService() map[string]string {
	return map[string]string{"listen": "127.0.0.1:0", "roles": "api,relay,worker", "shutdown_delay": "0s"}
}

// logger makes the log. Quiet commands hear of warnings alone.
func (p *program) logger(c configs.Log, quiet bool, to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	switch {
	case p.verbose:
		options.Level = slog.LevelDebug
	case quiet:
		options.Level = max(c.Level, slog.LevelWarn)
	}
	if c.Format == configs.LogJSON {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// complete offers a flag's values to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// It fails only for a flag that there is not, which the tests would show.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
