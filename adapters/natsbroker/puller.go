package natsbroker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullWait is how long an idle server keeps a request. One that it forgot
	// is noticed pullGrace after that.
	pullWait  = 10 * time.Second
	pullGrace = 2 * time.Second

	// pullBytes is, beside one message of the largest size, what a request asks
	// for at most.
	pullBytes = 16 << 20
)

// durable is a group's consumer on the server.
type durable struct{ stream, name string }

// puller asks a durable for messages, which come to an inbox.
//
// The client library's own ways to consume either hold a fixed number of
// messages, however slow the handlers are, or lose for a lease what is under way
// when they are stopped. A request here either asks for what there is, and is
// answered at once, or waits for one message. Of more than one, some could have
// come and some not when the consumer stops, and the server gives those that did
// not come to the next one first: they would be out of order.
type puller struct {
	conn    *nats.Conn
	subject string
	inbox   string
	sub     *nats.Subscription
	msgs    chan *nats.Msg

	number int       // of the last request
	waits  bool      // it waits for a message
	left   int       // messages that it may still bring; 0: it is over
	since  time.Time // when
	came   int       // how many it brought
}

// pullRequest is what the server's API takes.
type pullRequest struct {
	Batch    int           `json:"batch"`
	MaxBytes int64         `json:"max_bytes"`
	Expires  time.Duration `json:"expires,omitempty"`
	NoWait   bool          `json:"no_wait,omitempty"`
}

// newPuller makes one that asks for up to most messages at once. Requests that
// are forgotten may bring some too.
func newPuller(conn *nats.Conn, d durable, most int) (*puller, error) {
	p := &puller{
		conn:    conn,
		subject: "$JS.API.CONSUMER.MSG.NEXT." + d.stream + "." + d.name,
		inbox:   conn.NewInbox() + ".",
		msgs:    make(chan *nats.Msg, 64+4*most), // and more would come again
	}
	var err error
	p.sub, err = conn.ChanSubscribe(p.inbox+"*", p.msgs)
	return p, err
}

// ask asks for up to n messages of those that there are. A request before is
// forgotten.
func (p *puller) ask(n int) error {
	return p.send(pullRequest{Batch: n, MaxBytes: pullBytes + p.conn.MaxPayload(), NoWait: true})
}

// await asks for the next message that there will be.
func (p *puller) await() error {
	return p.send(pullRequest{Batch: 1, MaxBytes: pullBytes + p.conn.MaxPayload(), Expires: pullWait})
}

func (p *puller) send(r pullRequest) error {
	request, err := json.Marshal(r)
	if err != nil {
		return err
	}
	p.number++
	p.left = 0
	if err := p.conn.PublishRequest(p.subject, p.inbox+strconv.Itoa(p.number), request); err != nil {
		return err
	}
	p.waits, p.left, p.since, p.came = !r.NoWait, r.Batch, time.Now(), 0
	return nil
}

// take tells whether what came is a message. If not, it may be the end of the
// request, and err says why if it should not have ended. Of which request a
// message is can't be told, nor need it.
func (p *puller) take(m *nats.Msg) (isMessage bool, err error) {
	if strings.HasPrefix(m.Reply, "$JS.ACK.") {
		p.left = max(0, p.left-1)
		p.came++
		return true, nil
	}
	if m.Subject != p.inbox+strconv.Itoa(p.number) {
		return false, nil // the end of a request that is forgotten
	}
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case status == "100": // a sign of life
	case status == "404", status == "408", // nothing there, no more there
		text == "Message Size Exceeds MaxBytes", text == "Batch Completed":
		p.left = 0
	case status == "503":
		p.left, err = 0, fmt.Errorf("nobody answers at %s: was the durable deleted?", p.subject)
	default:
		p.left, err = 0, fmt.Errorf("the server says: %s %s", status, text)
	}
	return false, err
}

// overdue tells whether the server should have ended the request by now.
func (p *puller) overdue() bool {
	limit := pullGrace
	if p.waits {
		limit += pullWait
	}
	return p.left > 0 && time.Since(p.since) > limit
}

// collect returns what a request brings that does not wait, once it has ended.
func (p *puller) collect(ctx context.Context) (msgs []*nats.Msg) {
	for p.left > 0 && !p.waits && p.conn.IsConnected() {
		select {
		case m := <-p.msgs:
			if isMessage, _ := p.take(m); isMessage {
				msgs = append(msgs, m)
			}
		case <-ctx.Done():
			return msgs
		}
	}
	return msgs
}

// stop returns what a request that waits has brought of late. Nothing comes after that.
func (p *puller) stop(ctx context.Context) (msgs []*nats.Msg) {
	_ = p.sub.Drain() // fails when the connection has ended
	if p.conn.IsConnected() {
		_ = p.conn.FlushWithContext(ctx) // what was sent before comes before its answer
	}
	for {
		select {
		case m := <-p.msgs:
			if isMessage, _ := p.take(m); isMessage {
				msgs = append(msgs, m)
			}
		default:
			return msgs
		}
	}
}
