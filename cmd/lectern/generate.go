package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/configs"
	"lectern/domain"
)

// generation is one run of `lectern generate`.
type generation struct {
	*program
	order   order
	out     string
	format  string
	timeout time.Duration
}

func (p *program) generateCommand() *cobra.Command {
	g := &generation{program: p}
	var style string
	cmd := &cobra.Command{
		Use:   "generate --title TITLE [flags] [FILE...]",
		Short: "Make a course from a title and documents",
		Long: `Makes a course and prints it to standard output; progress goes to standard error.

The documents may be PDF, DOCX, PPTX, XLSX, ODT, EPUB, Markdown, plain text or
HTML, in any language. Without documents the course is made from the title
alone. All of them are checked before anything is made.

Without --server, Lectern runs in this process, with a Postgres of its own. What
is interrupted, by Ctrl-C or worse, goes on the next time Lectern starts.`,
		Example: `  lectern generate --title "Beekeeping for beginners"
  lectern generate --title "Курс по продажам" --language ru --style practical --lessons 25 *.docx *.pdf
  lectern generate --title "Safety at work" --format markdown --out safety.md rules.pdf
  lectern generate --title "Go in a week" --format json notes.md | jq '.sections[].section_title'
  lectern generate --title "Beekeeping" --server http://127.0.0.1:8080`,
		RunE: func(cmd *cobra.Command, args []string) error {
			g.order.Files, g.order.Style = args, domain.Style(style)
			return g.run(cmd.Context())
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"pdf", "docx", "pptx", "xlsx", "odt", "epub", "md", "txt", "html"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	flags := cmd.Flags()
	flags.StringVar(&g.order.Title, "title", "", "what the course is about (required)")
	flags.StringVar(&style, "style", string(domain.StyleConversational), "manner of teaching; press Tab, or:\n"+wrapped(styleNames()))
	flags.StringVar(&g.order.Language, "language", "en", "`tag` of the language to write in, such as en or ru")
	flags.IntVar(&g.order.Lessons, "lessons", 0, "lessons wanted, 10 to 200 (default as many as the documents give)")
	flags.StringVar(&p.server, "server", "", "`URL` of a running server, such as http://127.0.0.1:8080")
	flags.StringVar(&g.out, "out", "", "write the course to a `file`, whole or not at all, instead of standard output")
	formatFlag(cmd, &g.format)
	flags.DurationVar(&g.timeout, "timeout", 15*time.Minute, "give up after this long")
	complete(cmd, "style", styleNames()...)
	complete(cmd, "language", "en", "ru")
	return cmd
}

func (g *generation) run(ctx context.Context) error {
	if err := g.prepare(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.timeout,
		fmt.Errorf("the time is up (--timeout %s); what was begun goes on the next time Lectern starts", g.timeout))
	defer cancel()
	ui := newProgress(g.stderr)
	defer ui.close()
	if g.server != "" {
		return g.onServer(ctx, ui)
	}
	return g.onOwn(ctx, ui)
}

// prepare completes the order, and refuses what can be seen at once.
func (g *generation) prepare() error {
	key, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("draw idempotency key: %w", err)
	}
	g.order.Key = key.String()
	for i, file := range g.order.Files {
		if g.order.Files[i], err = filepath.Abs(file); err != nil {
			return fmt.Errorf("find file: %w", err)
		}
	}
	if g.timeout <= 0 {
		return inputError{errors.New("--timeout: must be longer than nothing, such as 10m")}
	}
	return errors.Join(checkFormat(g.format), checkOut(g.out))
}

// onServer makes the course on a server elsewhere.
func (g *generation) onServer(ctx context.Context, ui progress) error {
	c, err := newClient(g.server)
	if err != nil {
		return err
	}
	if err := g.order.check(ctx, domain.MaxDocumentBytes); err != nil {
		return err
	}
	id, err := c.place(ctx, g.order, ui)
	if err != nil {
		if id != "" {
			err = errors.Join(err, c.cancel(ctx, id, g.order.Key))
		}
		return err
	}
	if err = g.finish(ctx, c, id, ui); ctx.Err() != nil {
		return fmt.Errorf("stopped waiting; the course goes on at the server: %s", g.hint("show", id))
	}
	return err
}

// onOwn makes the course on a service in this process.
func (g *generation) onOwn(ctx context.Context, ui progress) error {
	config, err := g.loadConfig(configs.ForService, ownService())
	if err != nil {
		return err
	}
	if err := g.order.check(ctx, config.Documents.MaxBytes); err != nil {
		return err
	}
	return withService(ctx, config, g.logger(config.Log, true, ui), ui, func(ctx context.Context, url string) error {
		return g.onService(ctx, config, url, ui)
	})
}

// onService also finishes what earlier runs left: first what was never
// started, then, when its own course is there, what has not ended.
func (g *generation) onService(ctx context.Context, config configs.Config, url string, ui progress) error {
	c, err := newClient(url)
	if err != nil {
		return err
	}
	drafts, err := findDrafts(config)
	if err != nil {
		return err
	}
	// Noted before the others are taken up, which may take long.
	draft, err := writeDraft(config, g.order)
	if err != nil {
		return err
	}
	if config.Postgres.Embedded {
		g.resumeDrafts(ctx, drafts, url, ui)
	}
	id, err := g.placeSafely(ctx, c, draft, ui)
	if err != nil {
		return err
	}
	if err := g.finish(ctx, c, id, ui); err != nil {
		return err
	}
	if config.Postgres.Embedded {
		awaitOthers(ctx, c, ui)
	}
	return nil
}

// finish waits for a course that was started, and hands it over.
func (g *generation) finish(ctx context.Context, c client, id string, ui progress) error {
	seen := newStages(ui)
	if err := c.watch(ctx, id, 0, seen.see); err != nil {
		return err
	}
	ui.close()
	got, err := c.course(ctx, id)
	if err != nil {
		return err
	}
	g.nameUnread(got.GetDocuments(), ui)
	if state := connectapi.StateFromProto(got.GetCourse().GetState()); state != domain.StateCompleted {
		return fmt.Errorf("course %s is %s: %s\nSee what happened: %s", id, state, seen.failure, g.hint("show", id, "--events"))
	}
	if err := g.deliver(connectapi.StructureFromProto(got.GetCourse().GetStructure())); err != nil {
		return err
	}
	g.tellWhere(id, ui)
	return nil
}

// nameUnread names the documents that the course had to do without.
func (g *generation) nameUnread(documents []*lecternv1.Document, ui progress) {
	for _, d := range documents {
		if d.GetStatus() == lecternv1.DocumentStatus_DOCUMENT_STATUS_FAILED {
			ui.say("Not read: %s: %s", d.GetName(), d.GetError())
		}
	}
}

func (g *generation) deliver(s *domain.Structure) error {
	text, err := render(s, g.format)
	if err != nil {
		return err
	}
	if g.out == "" {
		_, err = g.stdout.Write(text)
		return err
	}
	return writeWhole(g.out, text)
}

func (g *generation) tellWhere(id string, ui progress) {
	if g.out != "" {
		ui.say("Wrote %s", g.out)
	}
	ui.say("Course %s is complete.", id)
	ui.say("  its events:   %s", g.hint("show", id, "--events"))
	ui.say("  as Markdown:  %s", g.hint("show", id, "--format", "markdown"))
}

// awaitOthers lets the courses that an earlier run left unfinished end, so that
// stopping does not interrupt them again. Its own course is made by then, so
// not to be able to wait is no failure.
func awaitOthers(ctx context.Context, c client, ui progress) {
	var others []*lecternv1.Course
	err := c.courses(ctx, func(course *lecternv1.Course) {
		if running(course) {
			others = append(others, course)
		}
	})
	for _, other := range others {
		if err == nil {
			ui.say("Waiting for course %s (%s), which an earlier run left unfinished", other.GetCourseId(), plain(other.GetTitle()))
			err = c.watch(ctx, other.GetCourseId(), 0, func(*lecternv1.WatchCourseResponse) {})
		}
	}
	if err != nil {
		ui.say("Not waiting any longer; what is unfinished goes on the next time Lectern starts")
	}
}

// checkOut refuses a place that nothing can be written to.
func checkOut(file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return inputError{fmt.Errorf("--out: %s is a folder: name a file", file)}
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return inputError{fmt.Errorf("--out: there is no folder %s", filepath.Dir(file))}
	}
	return nil
}

// writeWhole puts text under a name, whole or not at all.
func writeWhole(file string, text []byte) error {
	fresh, err := os.CreateTemp(filepath.Dir(file), ".lectern-*")
	if err != nil {
		return fmt.Errorf("write course: %w", err)
	}
	_, err = fresh.Write(text)
	err = errors.Join(err, fresh.Chmod(0o644), fresh.Sync(), fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write course: %w", err), os.Remove(fresh.Name()))
	}
	return nil
}
