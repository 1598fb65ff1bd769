package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
)

// entryReport is an entry as JSON.
type entryReport struct {
	OutboxID      string         `json:"outbox_id"`
	CourseID      string         `json:"course_id"`
	Run           int32          `json:"run"`
	Queue         string         `json:"queue"`
	State         string         `json:"state"`
	Attempts      int32          `json:"attempts"`
	LastError     string         `json:"last_error,omitempty"`
	CreatedAt     *time.Time     `json:"created_at"`
	NextAttemptAt *time.Time     `json:"next_attempt_at,omitempty"`
	ProcessedAt   *time.Time     `json:"processed_at,omitempty"`
	DeadAt        *time.Time     `json:"dead_at,omitempty"`
	DiscardedAt   *time.Time     `json:"discarded_at,omitempty"`
	Seq           int64          `json:"seq"`
	NotBefore     *time.Time     `json:"not_before,omitempty"`
	MaxAttempts   int32          `json:"max_attempts,omitempty"`
	Priority      int32          `json:"priority,omitempty"`
	Data          map[string]any `json:"data,omitempty"` // of one entry alone
}

func reportEntry(e *lecternv1.OutboxEntry) entryReport {
	return entryReport{
		OutboxID: e.GetOutboxId(), CourseID: e.GetCourseId(), Run: e.GetRun(),
		Queue: string(connectapi.QueueFromProto(e.GetQueue())), State: string(connectapi.EntryStateFromProto(e.GetState())),
		Attempts: e.GetAttempts(), LastError: e.GetLastError(), CreatedAt: timeOf(e.GetCreatedAt()),
		NextAttemptAt: timeOf(e.GetNextAttemptAt()), ProcessedAt: timeOf(e.GetProcessedAt()),
		DeadAt: timeOf(e.GetDeadAt()), DiscardedAt: timeOf(e.GetDiscardedAt()), Seq: e.GetSeq(),
		NotBefore: timeOf(e.GetOptions().GetNotBefore()), MaxAttempts: e.GetOptions().GetMaxAttempts(),
		Priority: e.GetOptions().GetPriority(), Data: e.GetData().AsMap(),
	}
}

// timeOf returns nil for no time.
func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

func (p *program) printJSON(value any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func (p *program) printEntries(entries []*lecternv1.OutboxEntry, asJSON bool) error {
	reports := make([]entryReport, len(entries))
	for i, e := range entries {
		reports[i] = reportEntry(e)
	}
	if asJSON {
		return p.printJSON(reports)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "OUTBOX ID\tCOURSE\tQUEUE\tSTATE\tQUEUED\tATTEMPTS\tREASON") // Flush tells
	for _, r := range reports {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.OutboxID, r.CourseID, r.Queue, r.State,
			local(r.CreatedAt), r.Attempts, shorten(oneLine(r.LastError), reasonWidth))
	}
	return table.Flush()
}

// reasonWidth is how much of a reason a table shows; 'outbox show' has it all.
const reasonWidth = 80

func oneLine(s string) string { return strings.ReplaceAll(plain(s), "\n", " ") }

func shorten(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-3]) + "..."
	}
	return s
}

func local(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func (p *program) printEntry(e *lecternv1.OutboxEntry, asJSON bool) error {
	r := reportEntry(e)
	if asJSON {
		return p.printJSON(r)
	}
	data, err := json.Marshal(r.Data)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	line := func(name string, value any, shown bool) {
		if shown {
			_, _ = fmt.Fprintf(table, "%s\t%v\n", name, value) // Flush tells
		}
	}
	line("outbox id", r.OutboxID, true)
	line("course", fmt.Sprintf("%s (run %d)", r.CourseID, r.Run), true)
	line("queue", r.Queue, true)
	line("state", r.State, true)
	line("queued", local(r.CreatedAt), true)
	line("attempts", r.Attempts, true)
	line("reason", oneLine(r.LastError), r.LastError != "")
	line("next attempt", local(r.NextAttemptAt), r.NextAttemptAt != nil)
	line("processed", local(r.ProcessedAt), r.ProcessedAt != nil)
	line("dead since", local(r.DeadAt), r.DeadAt != nil)
	line("discarded", local(r.DiscardedAt), r.DiscardedAt != nil)
	line("not before", local(r.NotBefore), r.NotBefore != nil)
	line("max attempts", r.MaxAttempts, r.MaxAttempts != 0)
	line("priority", r.Priority, r.Priority != 0)
	line("job", plain(string(data)), true)
	return table.Flush()
}

type countReport struct {
	Queue   string     `json:"queue"`
	State   string     `json:"state"`
	Entries int64      `json:"entries"`
	Oldest  *time.Time `json:"oldest_created_at"`
}

func (p *program) printStats(counts []*lecternv1.EntryCount, asJSON bool) error {
	reports := make([]countReport, len(counts))
	for i, c := range counts {
		reports[i] = countReport{
			string(connectapi.QueueFromProto(c.GetQueue())), string(connectapi.EntryStateFromProto(c.GetState())),
			c.GetEntries(), timeOf(c.GetOldestCreatedAt()),
		}
	}
	if asJSON {
		return p.printJSON(reports)
	}
	if len(reports) == 0 {
		p.print("Nothing waits, and nothing is dead.\n")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "QUEUE\tSTATE\tENTRIES\tOLDEST") // Flush tells
	for _, r := range reports {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", r.Queue, r.State, r.Entries, local(r.Oldest))
	}
	return table.Flush()
}

type resultReport struct {
	OutboxID string `json:"outbox_id"`
	CourseID string `json:"course_id,omitempty"`
	Done     bool   `json:"done"` // or would be, by a dry run
	DryRun   bool   `json:"dry_run,omitempty"`
	Refusal  string `json:"refusal,omitempty"`
	Message  string `json:"message,omitempty"`
}

// printResults says what became of each entry; a refused one is a failure.
func (p *program) printResults(results []*lecternv1.EntryResult, d *decision) error {
	done, refused := d.done, 0
	if d.dryRun {
		done = "would be " + d.done
	}
	reports := make([]resultReport, len(results))
	for i, r := range results {
		reports[i] = resultReport{r.GetOutboxId(), r.GetCourseId(), r.GetRefusal() == "", d.dryRun, r.GetRefusal(), r.GetMessage()}
		if !reports[i].Done {
			refused++
		}
	}
	if err := p.printVerdicts(reports, done, d.asJSON); err != nil {
		return err
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d entries are refused: the reasons stand above", refused, len(results))
	}
	return nil
}

func (p *program) printVerdicts(reports []resultReport, done string, asJSON bool) error {
	if asJSON {
		return p.printJSON(reports)
	}
	if len(reports) == 0 {
		p.print("No dead entry is chosen.\n")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "OUTBOX ID\tCOURSE\tRESULT") // Flush tells
	for _, r := range reports {
		result := done
		if !r.Done {
			result = "refused: " + plain(r.Message)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", r.OutboxID, r.CourseID, result)
	}
	return table.Flush()
}
