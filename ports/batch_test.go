package ports_test

import (
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"lectern/ports"
)

func TestCheckBatchRefusesWhatNoBrokerAccepts(t *testing.T) {
	t.Parallel()
	const limit = 10
	for name, tc := range map[string]struct {
		change  func(*message.Message)
		refused bool
	}{
		"an empty payload":   {change: func(m *message.Message) { m.Payload = nil }},
		"the limit":          {change: func(m *message.Message) { m.Payload = make([]byte, limit) }},
		"one past the limit": {change: func(m *message.Message) { m.Payload = make([]byte, limit+1) }, refused: true},
		"Russian metadata":   {change: func(m *message.Message) { m.Metadata.Set("тема", "Курс") }},
		"a broken value":     {change: func(m *message.Message) { m.Metadata.Set("k", "\xff") }, refused: true},
		"a broken key":       {change: func(m *message.Message) { m.Metadata.Set("\xff", "v") }, refused: true},
		"halves of one character": {change: func(m *message.Message) {
			m.UUID, m.Metadata = "\xd0", message.Metadata{"\x9a": "\xd0"}
		}, refused: true},
		"a zero byte":         {change: func(m *message.Message) { m.Metadata.Set("k", "a\x00b") }, refused: true},
		"a broken id":         {change: func(m *message.Message) { m.UUID = "\xc3" }, refused: true},
		"a payload of binary": {change: func(m *message.Message) { m.Payload = []byte("\x00\xff") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := newMessage("before"), newMessage("after")
			m := newMessage("m")
			tc.change(m)

			fit, refused := ports.CheckBatch(limit, []*message.Message{before, m, after})

			if !tc.refused {
				require.Equal(t, []*message.Message{before, m, after}, fit)
				require.NoError(t, refused.OrNil())
				return
			}
			require.Equal(t, []*message.Message{before, after}, fit)
			require.Len(t, refused.Failed, 1)
			require.Equal(t, ports.Refused, refused.Failed[m.UUID].Failure)
			require.ErrorIs(t, refused.OrNil(), refused.Failed[m.UUID].Err)
		})
	}
}

func newMessage(uuid string) *message.Message {
	return message.NewMessage(uuid, []byte(strings.Repeat("x", 3)))
}
