package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/adapters/connectapi/gen/lectern/v1/lecternv1connect"
)

// fakeOutbox answers as a server would, and notes what it was asked.
type fakeOutbox struct {
	lecternv1connect.UnimplementedOutboxServiceHandler
	calls   []string
	entries []*lecternv1.OutboxEntry
	refuse  string // the entry that is refused
}

func (f *fakeOutbox) note(m proto.Message) {
	text := prototext.MarshalOptions{}.Format(m)
	f.calls = append(f.calls, strings.Join(strings.Fields(text), " ")) // its spaces vary on purpose
}

func (f *fakeOutbox) ListEntries(_ context.Context, r *connect.Request[lecternv1.ListEntriesRequest]) (*connect.Response[lecternv1.ListEntriesResponse], error) {
	f.note(r.Msg)
	page, from := &lecternv1.ListEntriesResponse{}, 0
	for i, e := range f.entries {
		if e.GetOutboxId() == r.Msg.GetPageToken() {
			from = i + 1
		}
	}
	page.Entries = f.entries[from:min(len(f.entries), from+int(r.Msg.GetPageSize()))]
	if from+len(page.GetEntries()) < len(f.entries) {
		page.NextPageToken = page.GetEntries()[len(page.GetEntries())-1].GetOutboxId()
	}
	return connect.NewResponse(page), nil
}

func (f *fakeOutbox) GetEntry(_ context.Context, r *connect.Request[lecternv1.GetEntryRequest]) (*connect.Response[lecternv1.GetEntryResponse], error) {
	f.note(r.Msg)
	return connect.NewResponse(&lecternv1.GetEntryResponse{Entry: f.entries[0]}), nil
}

func (f *fakeOutbox) GetStats(context.Context, *connect.Request[lecternv1.GetStatsRequest]) (*connect.Response[lecternv1.GetStatsResponse], error) {
	stats := &lecternv1.GetStatsResponse{}
	for _, e := range f.entries {
		stats.Counts = append(stats.Counts, &lecternv1.EntryCount{Queue: e.GetQueue(), State: e.GetState(), Entries: 3, OldestCreatedAt: e.GetCreatedAt()})
	}
	return connect.NewResponse(stats), nil
}

func (f *fakeOutbox) results(ids []string) []*lecternv1.EntryResult {
	var results []*lecternv1.EntryResult
	for _, id := range ids {
		r := &lecternv1.EntryResult{OutboxId: id, CourseId: courseID}
		if id == f.refuse {
			r.Refusal, r.Message = "STALE_RUN", "its course is on run 2: restart the course"
		}
		results = append(results, r)
	}
	return results
}

func (f *fakeOutbox) RedriveEntries(_ context.Context, r *connect.Request[lecternv1.RedriveEntriesRequest]) (*connect.Response[lecternv1.RedriveEntriesResponse], error) {
	f.note(r.Msg)
	return connect.NewResponse(&lecternv1.RedriveEntriesResponse{Results: f.results(r.Msg.GetOutboxIds())}), nil
}

func (f *fakeOutbox) DiscardEntries(_ context.Context, r *connect.Request[lecternv1.DiscardEntriesRequest]) (*connect.Response[lecternv1.DiscardEntriesResponse], error) {
	f.note(r.Msg)
	return connect.NewResponse(&lecternv1.DiscardEntriesResponse{Results: f.results(r.Msg.GetOutboxIds())}), nil
}

func entryID(n int) string { return fmt.Sprintf("0199c0de-0000-7000-8000-0000000000%02d", n) }

func startOutbox(t *testing.T) (*fakeOutbox, string) {
	t.Helper()
	data, err := structpb.NewStruct(map[string]any{"course_id": courseID})
	require.NoError(t, err)
	at := timestamppb.New(time.Date(2026, 11, 25, 3, 0, 0, 0, time.Local))
	f := &fakeOutbox{entries: []*lecternv1.OutboxEntry{
		{
			OutboxId: entryID(12), CourseId: courseID, Run: 1, Queue: lecternv1.Queue_QUEUE_DOCUMENT_PROCESSING,
			State: lecternv1.EntryState_ENTRY_STATE_DEAD, CreatedAt: at, DeadAt: at, Attempts: 5, Seq: 7, Data: data,
			LastError: "the broker said:\nMESSAGE_TOO_LARGE\x1b[31m, which is " + strings.Repeat("x", 80),
		},
		{
			OutboxId: entryID(11), CourseId: courseID, Run: 1, Queue: lecternv1.Queue_QUEUE_SUMMARIZATION,
			State: lecternv1.EntryState_ENTRY_STATE_HELD, CreatedAt: at, Seq: 8,
		},
	}}
	_, handler := lecternv1connect.NewOutboxServiceHandler(f)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return f, server.URL
}

// The tables and the JSON are as the files of testdata say.
func TestTheOutboxIsPrintedAsTableAndAsJSON(t *testing.T) {
	t.Parallel()
	_, url := startOutbox(t)
	for name, args := range map[string][]string{
		"list.txt":     {"list"},
		"list.json":    {"list", "--json"},
		"show.txt":     {"show", entryID(12)},
		"show.json":    {"show", entryID(12), "--json"},
		"stats.txt":    {"stats"},
		"stats.json":   {"stats", "--json"},
		"redrive.txt":  {"redrive", entryID(12)},
		"redrive.json": {"redrive", entryID(12), "--json"},
		"dry_run.txt":  {"discard", "--all", "--reason", "broken", "--dry-run"},
	} {
		got := lectern(t, nil, append(append([]string{"outbox"}, args...), "--server", url)...)
		require.Zero(t, got.code, "%s: %s", name, got.stderr)
		// The times are those of where the test runs; JSON has UTC.
		utc := time.Date(2026, 11, 25, 3, 0, 0, 0, time.Local).UTC().Format(time.RFC3339)
		requireGolden(t, "outbox_"+name, strings.ReplaceAll(got.stdout, utc, "2026-11-25T03:00:00Z"))
	}
}

func requireGolden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.Equal(t, string(want), got, name)
}

func TestEntriesAreChosenByFlags(t *testing.T) {
	t.Parallel()
	f, url := startOutbox(t)
	got := lectern(t, nil, "outbox", "list", "--server", url, "--limit", "1", "--state", "dead,parked", "--course", courseID,
		"--queue", "summarization", "--older-than", "10m", "--younger-than", "2h")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "There are more: --limit shows them.\n", got.stderr)
	require.Equal(t, []string{`filter:{course_id:"` + courseID + `" queue:QUEUE_SUMMARIZATION states:ENTRY_STATE_DEAD states:ENTRY_STATE_BACKOFF ` +
		`states:ENTRY_STATE_DELAY states:ENTRY_STATE_BLOCKED states:ENTRY_STATE_HELD older_than:{seconds:600} younger_than:{seconds:7200}} page_size:1`}, f.calls)
}

func TestManyEntriesWantAConfirmation(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"redrive", "--all"}, {"redrive", entryID(11), entryID(12)}, {"discard", "--queue", "summarization", "--reason", "broken"},
	} {
		f, url := startOutbox(t)
		args = append(append([]string{"outbox"}, args...), "--server", url)
		got := lectern(t, nil, args...) // from no terminal
		require.Equal(t, result{code: exitInput, stderr: "lectern: " + args[1] + " 2 entries: pass --yes if you mean it, or --dry-run to see what it would do\n"}, got)
		asked := len(f.calls)
		require.LessOrEqual(t, asked, 1) // to list them

		got = lectern(t, nil, append(args, "--yes")...)
		require.Zero(t, got.code, got.stderr)
		last := f.calls[len(f.calls)-1]
		require.Contains(t, last, entryID(11))
		require.Contains(t, last, entryID(12))
		require.NotContains(t, last, "dry_run")
	}
}

func TestARefusedEntryIsAFailureThatSaysWhy(t *testing.T) {
	t.Parallel()
	f, url := startOutbox(t)
	f.refuse = entryID(12)
	got := lectern(t, nil, "outbox", "redrive", entryID(11), entryID(12), "--yes", "--server", url)
	require.Equal(t, exitFailure, got.code)
	require.Equal(t, "lectern: 1 of 2 entries are refused: the reasons stand above\n", got.stderr)
	require.Contains(t, got.stdout, entryID(12)+"  "+courseID+"  refused: its course is on run 2: restart the course\n")
}

func TestNoDeadEntryIsNoFailure(t *testing.T) {
	t.Parallel()
	f, url := startOutbox(t)
	f.entries = nil
	require.Equal(t, result{stdout: "No dead entry is chosen.\n"}, lectern(t, nil, "outbox", "redrive", "--all", "--server", url))
	require.Equal(t, result{stdout: "Nothing waits, and nothing is dead.\n"}, lectern(t, nil, "outbox", "stats", "--server", url))
}

func TestACourseIsNotSplitBetweenRequests(t *testing.T) {
	t.Parallel()
	f, url := startOutbox(t)
	f.entries = nil
	id := func(course, n int) string { return fmt.Sprintf("0199c0de-0000-7000-8%03d-%012d", course, n) }
	for n := range 2 * entryPage / 3 {
		for course := range 3 { // in turns, as they come
			f.entries = append(f.entries, &lecternv1.OutboxEntry{OutboxId: id(course, n), CourseId: id(course, 0)})
		}
	}
	got := lectern(t, nil, "outbox", "redrive", "--all", "--yes", "--limit", "5000", "--server", url)
	require.Zero(t, got.code, got.stderr)
	requests := f.calls[len(f.calls)-3:]
	for course, request := range requests {
		require.Equal(t, 2*entryPage/3, strings.Count(request, fmt.Sprintf("-8%03d-", course)))
		require.Equal(t, 2*entryPage/3, strings.Count(request, "outbox_ids:"))
	}
}

func TestBadUsageOfTheOutboxIsSaid(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"redrive":                        errNothingChosen.Error() + "\n  see 'lectern outbox redrive --help'\n",
		"redrive --all " + entryID(1):    "give either ids or flags that choose, not both\n  see 'lectern outbox redrive --help'\n",
		"redrive 17":                     "\"17\" is not the id of an entry\n",
		"discard " + entryID(1):          "say why, with --reason\n  see 'lectern outbox discard --help'\n",
		"list --state lost":              "--state: \"lost\" is not one of pending, parked, all, ready, backoff, delay, blocked, held, processed, dead, discarded\n",
		"list --queue q":                 "--queue: \"q\" is not one of document-processing, summarization, structure-analysis, structure-generation\n",
		"list --course c":                "--course: \"c\" is not the id of a course\n",
		"list --older-than 0s":           "--older-than: must be more than 0, is 0s\n",
		"list --limit 0":                 "--limit: must be 1 to 100000, is 0\n",
		"redrive --all --older-than -1h": "--older-than: must be more than 0, is -1h0m0s\n",
	} {
		got := lectern(t, nil, append([]string{"outbox", "--server", "http://127.0.0.1:1"}, strings.Fields(args)...)...)
		require.Equal(t, result{code: exitInput, stderr: "lectern: " + want}, got, args)
	}
}
