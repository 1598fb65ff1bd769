package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"lectern/app"
	"lectern/domain"
	"lectern/ports"
)

// steps records what the workers commit. The real one is proven in
// adapters/postgres.
type steps struct {
	mu                  sync.Mutex
	verdict             domain.Verdict
	course              domain.Course
	docs                []domain.Document
	beginErr, courseErr error
	refuse              error          // of the first Advance
	settled             domain.Verdict // of BeginOrSkip
	advanced            []domain.Step
}

func (s *steps) Begin(context.Context, domain.Delivery) (domain.Verdict, domain.Course, error) {
	return s.verdict, s.course, s.beginErr
}

func (s *steps) BeginOrSkip(context.Context, domain.Delivery) (domain.Verdict, domain.Course, error) {
	return s.settled, s.course, nil
}

func (s *steps) Course(context.Context, uuid.UUID) (domain.Course, error) {
	return s.course, s.courseErr
}

func (s *steps) Advance(_ context.Context, step domain.Step) (domain.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced = append(s.advanced, step)
	err := s.refuse
	s.refuse = nil
	return domain.VerdictWork, err
}

func (s *steps) SourceDocument(_ context.Context, _, id uuid.UUID) (domain.Document, error) {
	for _, d := range s.docs {
		if d.ID == id {
			return d, nil
		}
	}
	return domain.Document{}, domain.Errorf(domain.ReasonDocumentNotFound, "no such document")
}

func (s *steps) SourceDocuments(context.Context, uuid.UUID) ([]domain.Document, error) {
	return s.docs, nil
}

// queueBroker hands a queue's messages to whoever subscribes.
type queueBroker struct {
	broker
	queues map[string]chan *message.Message
}

func (b *queueBroker) Subscriber(string) (message.Subscriber, error) { return b, nil }

func (b *queueBroker) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case m := <-b.queues[topic]:
				select {
				case out <- m:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

type blobs struct{}

func (blobs) Put(context.Context, string, io.Reader, int64) (int64, string, error) { return 0, "", nil }

func (blobs) Get(context.Context, string) ([]byte, error) { return []byte("bytes"), nil }
func (blobs) Delete(context.Context, string) error        { return nil }

type extractor struct {
	text domain.Text
	err  error
}

func (e extractor) Inspect(context.Context, string, []byte) (domain.Format, error) {
	return domain.FormatText, e.err
}

func (e extractor) Extract(context.Context, domain.Format, []byte) (domain.Text, error) {
	return e.text, e.err
}

// breakingReader is one that a document breaks.
type breakingReader struct{ extractor }

func (breakingReader) Extract(context.Context, domain.Format, []byte) (domain.Text, error) {
	panic("slice bounds out of range")
}

// slow is a generator that takes all the time there is.
type slow struct{ generator }

func (slow) Analyze(ctx context.Context, _ domain.Course, _ []domain.Document, _ *domain.Usage) (domain.Analysis, error) {
	<-ctx.Done()
	return domain.Analysis{}, ctx.Err()
}

// generator answers every stage with what it was given.
type generator struct {
	analyze func() (domain.Analysis, error)
}

func (generator) Name() string { return "test" }

func (generator) Summarize(context.Context, domain.Text, *domain.Usage) (domain.Summary, error) {
	return domain.Summary{Text: "In short."}, nil
}

func (g generator) Analyze(context.Context, domain.Course, []domain.Document, *domain.Usage) (domain.Analysis, error) {
	return g.analyze()
}

func (generator) Generate(
	context.Context, domain.Course, domain.Analysis, []domain.Document, *domain.Usage,
) (domain.Structure, error) {
	return domain.Structure{Title: "far from valid"}, nil
}

type workshop struct {
	steps    *steps
	commands *initializer
	stats    *app.DefenceStats
	broker   *queueBroker
	deps     app.WorkerDeps
	stop     context.CancelFunc // the consumer is to stop
	giveUp   context.CancelFunc // the broker waits no longer for what is in hand
}

func newWorkshop() *workshop {
	w := &workshop{
		steps: &steps{verdict: domain.VerdictWork, course: domain.Course{
			ID: uuid.New(), Owner: domain.Identity{OrganizationID: uuid.New(), UserID: uuid.New()},
			State: domain.StatePending, Run: 3, Settings: domain.Settings{Pipeline: domain.PipelineAutomatic},
		}},
		commands: &initializer{}, stats: app.NewDefenceStats(),
		broker: &queueBroker{broker: *newBroker(), queues: map[string]chan *message.Message{}},
	}
	for _, q := range domain.Queues() {
		w.broker.queues[string(q)] = make(chan *message.Message)
	}
	w.deps = app.WorkerDeps{
		Steps: w.steps, Broker: w.broker, Blobs: blobs{}, Extractor: extractor{text: domain.Text{Blocks: []domain.Block{{Text: "Hello."}}}},
		Generator: generator{analyze: func() (domain.Analysis, error) { return domain.Analysis{TotalLessons: 10}, nil }},
		Signals:   app.NewSignals(), NewID: uuid.NewV7, Now: func() time.Time { return time.Unix(1000, 0) }, Log: quiet(),
		Backoff: app.Backoff{Base: time.Second, Max: time.Minute, Random: func() float64 { return 0 }},
		Config:  app.WorkerConfig{Concurrency: 2, JobTimeout: time.Minute, MaxAttempts: 3},
	}
	w.deps.Defence = app.NewDefence(w.commands, w.deps.Signals, w.stats, quiet())
	return w
}

// deliver runs the workers on one message and reports whether it was acked.
func (w *workshop) deliver(t *testing.T, queue domain.Queue, data domain.JobData, attempt int) bool {
	t.Helper()
	payload, err := json.Marshal(data)
	require.NoError(t, err)
	msg := message.NewMessage(uuid.NewString(), payload)
	msg.Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
	msg.Metadata.Set(ports.MetaAttempt, strconv.Itoa(attempt))
	return w.deliverMessage(t, queue, msg)
}

func (w *workshop) deliverMessage(t *testing.T, queue domain.Queue, msg *message.Message) bool {
	t.Helper()
	return w.settle(t, app.NewWorkers(w.deps).Run, queue, msg)
}

// settle runs a consumer on one message and reports whether it was acked.
func (w *workshop) settle(t *testing.T, consumer func(context.Context) error, queue domain.Queue, msg *message.Message) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	handling, giveUp := context.WithCancel(t.Context())
	w.stop, w.giveUp = cancel, giveUp
	msg.SetContext(handling)
	done := make(chan error, 1)
	go func() { done <- consumer(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-done)
		giveUp()
	}()
	w.broker.queues[string(queue)] <- msg
	select {
	case <-msg.Acked():
		return true
	case <-msg.Nacked():
		return false
	case <-time.After(10 * time.Second):
		t.Fatal("the message was never settled")
		return false
	}
}

func (w *workshop) document() *uuid.UUID {
	id := uuid.New()
	w.steps.docs = append(w.steps.docs, domain.Document{ID: id, Name: "plan.pdf", Status: domain.DocumentUploaded})
	return &id
}

func (w *workshop) only(t *testing.T) domain.Step {
	t.Helper()
	require.Len(t, w.steps.advanced, 1)
	return w.steps.advanced[0]
}

func TestDocumentJobStoresTextAndLeadsOnToSummaries(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	id := w.document()
	require.True(t, w.deliver(t, domain.QueueDocumentProcessing, domain.JobData{DocumentID: id}, 0))
	step := w.only(t)
	require.Equal(t, domain.DocumentProcessed, step.Documents[0].Status)
	require.Len(t, step.Documents[0].Chunks, 1)
	require.Equal(t, []domain.State{domain.StateStage2Complete, domain.StateStage3Init}, step.OnLast.States)
	require.Equal(t, domain.QueueSummarization, step.OnLast.Jobs[0].Queue)
}

func TestManualPipelineStopsAtTheEndOfAStage(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.steps.course.Settings.Pipeline = domain.PipelineManual
	require.True(t, w.deliver(t, domain.QueueDocumentProcessing, domain.JobData{DocumentID: w.document()}, 0))
	require.Equal(t, domain.Onward{States: []domain.State{domain.StateStage2Complete}}, w.only(t).OnLast)
}

func TestUnreadableDocumentIsRecordedAndTheStageGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Extractor = extractor{err: domain.Errorf(domain.ReasonDocumentEncrypted, "remove the password")}
	require.True(t, w.deliver(t, domain.QueueDocumentProcessing, domain.JobData{DocumentID: w.document()}, 0))
	step := w.only(t)
	require.Equal(t, domain.DocumentFailed, step.Documents[0].Status)
	require.Equal(t, "remove the password", step.Documents[0].Error)
	require.NotEmpty(t, step.OnLast.States)
}

func TestCourseFailsWhenNoneOfItsDocumentsCouldBeRead(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.document()
	w.steps.docs[0].Status, w.steps.docs[0].Error = domain.DocumentFailed, "remove the password"
	require.True(t, w.deliver(t, domain.QueueSummarization, domain.JobData{}, 0))
	require.Contains(t, w.only(t).Fail, "plan.pdf (remove the password)")
}

func TestJobThatHasNothingToDoIsAcknowledgedWithoutWork(t *testing.T) {
	t.Parallel()
	for _, verdict := range []domain.Verdict{domain.VerdictDuplicate, domain.VerdictStale, domain.VerdictSkipped} {
		w := newWorkshop()
		w.steps.verdict = verdict
		require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
		require.Empty(t, w.steps.advanced)
	}
}

func TestFailedAttemptIsRetriedLaterUntilNoneIsLeft(t *testing.T) {
	t.Parallel()
	failing := generator{analyze: func() (domain.Analysis, error) { return domain.Analysis{}, errors.New("no idea") }}
	w := newWorkshop()
	w.deps.Generator = failing
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 1))
	retry := w.only(t).Retry
	require.NotNil(t, retry)
	require.Equal(t, 2, retry.Job.Options.Attempt)
	require.Equal(t, time.Unix(1001, 0), retry.NotBefore)
	require.Contains(t, retry.Reason, "no idea")

	w = newWorkshop()
	w.deps.Generator = failing
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 2))
	require.Contains(t, w.only(t).Fail, "no idea")
}

// What a job asks for goes before the config's 3 attempts, and stays the job's,
// as its priority does.
func TestAJobsOwnAttemptsGoBeforeTheConfigs(t *testing.T) {
	t.Parallel()
	failing := generator{analyze: func() (domain.Analysis, error) { return domain.Analysis{}, errors.New("no idea") }}
	attempt := func(asked, attempt string) domain.Step {
		w := newWorkshop()
		w.deps.Generator = failing
		msg := message.NewMessage(uuid.NewString(), []byte(`{}`))
		msg.Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
		msg.Metadata.Set(ports.MetaMaxAttempts, asked)
		msg.Metadata.Set(ports.MetaPriority, "7")
		msg.Metadata.Set(ports.MetaAttempt, attempt)
		require.True(t, w.deliverMessage(t, domain.QueueStructureAnalysis, msg))
		return w.only(t)
	}
	require.Contains(t, attempt("1", "0").Fail, "no idea")
	require.Equal(t, domain.JobOptions{Attempt: 4, MaxAttempts: 5, Priority: 7}, attempt("5", "3").Retry.Job.Options)
	require.Contains(t, attempt("5", "4").Fail, "no idea")
}

func TestPanicInAJobIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Generator = generator{analyze: func() (domain.Analysis, error) { panic("boom") }}
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.Equal(t, "a fault of the program, which its log tells of", w.only(t).Retry.Reason)
}

func TestADocumentThatBreaksItsReaderIsRecordedAndTheStageGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Extractor = breakingReader{}
	require.True(t, w.deliver(t, domain.QueueDocumentProcessing, domain.JobData{DocumentID: w.document()}, 0))
	require.Equal(t, domain.DocumentFailed, w.only(t).Documents[0].Status)
	require.Contains(t, w.only(t).Documents[0].Error, "save it anew")
}

func TestAJobThatTakesTooLongSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Config.JobTimeout = time.Millisecond
	w.deps.Generator = slow{}
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.Equal(t, "it took longer than workers.job_timeout (1ms)", w.only(t).Retry.Reason)
}

func TestInvalidCourseIsNeverStored(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	require.True(t, w.deliver(t, domain.QueueStructureGeneration, domain.JobData{}, 0))
	require.Nil(t, w.only(t).Structure)
	require.Contains(t, w.only(t).Retry.Reason, "course_description")
}

func TestJobIsGivenBackWhileTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	gone := domain.Errorf(domain.ReasonUnavailable, "gone")
	w := newWorkshop()
	w.steps.beginErr = gone
	require.False(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	w = newWorkshop()
	w.steps.refuse = gone
	require.False(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
}

func TestResultThatTheDatabaseRefusesFailsTheCourse(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.steps.refuse = errors.New("invalid jsonb")
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.Len(t, w.steps.advanced, 2)
	require.NotEmpty(t, w.steps.advanced[1].Fail)
}

func TestJobInHandIsFinishedWhileStopping(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Generator = generator{analyze: func() (domain.Analysis, error) {
		w.stop()
		return domain.Analysis{TotalLessons: 10}, nil
	}}
	require.True(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.NotNil(t, w.only(t).Analysis)
}

func TestJobStoppedInMidWorkIsGivenBackAndNotFailed(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.deps.Generator = generator{analyze: func() (domain.Analysis, error) {
		w.stop()
		w.giveUp()
		return domain.Analysis{}, context.Canceled
	}}
	require.False(t, w.deliver(t, domain.QueueStructureAnalysis, domain.JobData{}, 0))
	require.Empty(t, w.steps.advanced)
}

// A message published by hand may ask for more attempts than a job may have.
func TestNoJobIsRetriedMoreOftenThanJobsMayBe(t *testing.T) {
	t.Parallel()
	failing := generator{analyze: func() (domain.Analysis, error) { return domain.Analysis{}, errors.New("no idea") }}
	message := func(w *workshop, attempt string) *message.Message {
		msg := message.NewMessage(uuid.NewString(), []byte(`{}`))
		msg.Metadata.Set(ports.MetaSubject, w.steps.course.ID.String())
		msg.Metadata.Set(ports.MetaMaxAttempts, "1000")
		msg.Metadata.Set(ports.MetaPriority, "1000")
		msg.Metadata.Set(ports.MetaAttempt, attempt)
		return msg
	}
	w := newWorkshop()
	w.deps.Generator = failing
	require.True(t, w.deliverMessage(t, domain.QueueStructureAnalysis, message(w, "98")))
	require.NoError(t, w.only(t).Retry.Job.Options.Validate())

	w = newWorkshop()
	w.deps.Generator = failing
	require.True(t, w.deliverMessage(t, domain.QueueStructureAnalysis, message(w, "99")))
	require.Contains(t, w.only(t).Fail, "no idea")
}

func TestUnreadableMessageBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	farRun := message.NewMessage(uuid.NewString(), []byte(`{}`))
	farRun.Metadata.Set(ports.MetaRun, "2147483648")
	for says, msg := range map[string]*message.Message{
		"run":               farRun,
		"message id":        message.NewMessage("not a uuid", []byte(`{}`)),
		"message payload":   message.NewMessage(uuid.NewString(), []byte(`not json`)),
		"JobData.course_id": message.NewMessage(uuid.NewString(), []byte(`{"course_id": 7}`)),
	} {
		w := newWorkshop()
		var letter *message.Message
		w.broker.fail = func(topic string, msgs []*message.Message) error {
			require.Equal(t, ports.DeadTopic(string(domain.QueueStructureAnalysis)), topic)
			letter = msgs[0]
			return nil
		}
		require.True(t, w.deliverMessage(t, domain.QueueStructureAnalysis, msg))
		require.Empty(t, w.steps.advanced)
		require.Equal(t, msg.UUID, letter.UUID)
		require.Equal(t, msg.Payload, letter.Payload)
		require.Contains(t, letter.Metadata.Get(ports.MetaDeadReason), says)
		require.Equal(t, ports.GroupWorkers, letter.Metadata.Get(ports.MetaDeadGroup))
		require.Equal(t, string(domain.QueueStructureAnalysis), letter.Metadata.Get(ports.MetaDeadTopic))
		require.Equal(t, "1970-01-01T00:16:40Z", letter.Metadata.Get(ports.MetaDeadTime))
	}
}

func TestUnreadableMessageStaysWhileItCanNotBecomeADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorkshop()
	w.broker.fail = func(_ string, msgs []*message.Message) error {
		return ports.NewPublishError(ports.Unavailable, errors.New("broker down"), msgs...)
	}
	require.False(t, w.deliverMessage(t, domain.QueueStructureAnalysis, message.NewMessage("not a uuid", nil)))
}
