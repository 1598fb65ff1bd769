package redisbroker_test

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"lectern/e2e/stack"
)

func TestAServerThatKeepsWhatItIsGivenNeedsNoAdvice(t *testing.T) {
	t.Parallel()
	address := stack.StartDurableRedis(t).Address()
	advice, err := open(t, address, map[string]any{}).Advice(t.Context())
	require.NoError(t, err)
	require.Empty(t, advice)
}

func TestAServerThatWouldLoseMessagesIsSaidHowToKeepThem(t *testing.T) {
	t.Parallel()
	address := stack.StartRedis(t).Address()
	require.NoError(t, admin(t, address).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	advice, err := open(t, address, map[string]any{}).Advice(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{
		`appendonly is "no": what came since its last snapshot is lost when it ends; set it to yes`,
		`maxmemory-policy is "allkeys-lru": when its memory is full it may delete queues; set it to noeviction`,
	}, advice)
}

func TestWhatMayNotBeLookedAtIsSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	address := stack.StartDurableRedis(t).Address()
	require.NoError(t, admin(t, address).Do(t.Context(), "ACL", "SETUSER", "lectern", "on", ">right", "~lectern:*", "+auth", "+ping").Err())
	advice, err := open(t, address, map[string]any{"login": map[string]any{"user": "lectern", "password": "right"}}).Advice(t.Context())
	require.NoError(t, err)
	require.Len(t, advice, 2)
	for i, want := range []string{"appendonly .* it is yes", "maxmemory-policy .* it is noeviction"} {
		require.Regexp(t, "^"+strings.Replace(want, ".*", `could not be looked at \(NOPERM .*\): see to it that`, 1)+"$", advice[i])
	}
}

// Of a real server, but for its version.
func TestAServerThatIsTooOldCanNotBeUsed(t *testing.T) {
	t.Parallel()
	address := stack.StartDurableRedis(t).Address()
	hello := redis.NewMapStringInterfaceCmd(t.Context(), "HELLO")
	require.NoError(t, admin(t, address).Process(t.Context(), hello))
	actual := bulk(fmt.Sprint(hello.Val()["version"]))
	for version, fit := range map[string]bool{"5.0.14": false, "6.0.16": false, "6.2.0": true, "10.0.1": true, "unstable": true} {
		at, err := url.Parse(address)
		require.NoError(t, err)
		at.Host = relay(t, listen(t), at.Host, func(to io.Writer, from io.Reader) {
			_, _ = io.Copy(replacing{to, actual, bulk(version)}, from)
		})
		_, err = open(t, at.String(), map[string]any{}).Advice(t.Context())
		if fit {
			require.NoError(t, err, version)
			continue
		}
		require.ErrorContains(t, err, "its version is "+version+", and 6.2 is the first that will do: upgrade it")
	}
}

func TestAServerThatIsNotReachedGivesNoAdvice(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	b := open(t, server.Address(), map[string]any{})
	server.Stop()
	_, err := b.Advice(t.Context())
	require.Error(t, err)
}

// bulk is a text as the server sends it.
func bulk(text string) []byte { return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(text), text) }

// replacing replaces what is within one answer.
type replacing struct {
	io.Writer
	old, with []byte
}

// Write implements io.Writer.
func (r replacing) Write(answer []byte) (int, error) {
	_, err := r.Writer.Write(bytes.ReplaceAll(answer, r.old, r.with))
	return len(answer), err
}
