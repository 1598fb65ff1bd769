package e2e_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/e2e/stack"
)

// TestRedisAnswersRepeatedCommandsAndIsNotNeeded tells who answers by changing
// what is in Redis.
func TestRedisAnswersRepeatedCommandsAndIsNotNeeded(t *testing.T) {
	t.Parallel()
	server := stack.StartRedis(t)
	s := serve(t, dataDir(t), "LECTERN_CACHE__KIND=redis", "LECTERN_CACHE__OPTIONS__URL="+server.Address(), "LECTERN_CACHE__OPTIONS__TIMEOUT=1s")
	a := author{t: t, server: s, CourseServiceClient: s.client("grpc")}
	course := a.create(lecternv1.Style_STYLE_PRACTICAL, nil)
	request := &lecternv1.InitializeFSMRequest{
		CourseId: course, IdempotencyKey: uuid.NewString(), State: lecternv1.State_STATE_STAGE_5_INIT,
		Jobs: []*lecternv1.JobRequest{a.job(lecternv1.Queue_QUEUE_STRUCTURE_GENERATION, course, "")},
	}
	call := func() *lecternv1.InitializeFSMResponse {
		t.Helper()
		answer, err := a.InitializeFSM(t.Context(), connect.NewRequest(request))
		require.NoError(t, err)
		return answer.Msg
	}
	first := call()
	require.False(t, first.GetFromCache())
	want := proto.CloneOf(first)
	want.FromCache = true
	requireEqual(t, want, call())

	kept := onlyAnswer(t, server)
	require.LessOrEqual(t, kept.ttl, 24*time.Hour)
	require.Greater(t, kept.ttl, 23*time.Hour)
	kept.replace(t, `"version":1`, `"version":7`)
	require.Equal(t, int64(7), call().GetFsmState().GetVersion(), "Redis was not asked")
	kept.replace(t, course, uuid.NewString())
	requireEqual(t, want, call())

	other := proto.CloneOf(request)
	other.Jobs = nil
	_, err := a.InitializeFSM(t.Context(), connect.NewRequest(other))
	require.Equal(t, connect.CodeAlreadyExists, connect.CodeOf(err))
	refusal := err.Error()

	server.Stop()
	requireEqual(t, want, call())
	_, err = a.InitializeFSM(t.Context(), connect.NewRequest(other))
	require.EqualError(t, err, refusal, "the cache refuses in other words than the database")
	require.Contains(t, s.log.String(), "Cache not reached")

	server.Start()
	eventually(t, "Redis has the answer again", patience, func() bool {
		requireEqual(t, want, call())
		return strings.Contains(s.log.String(), "Cache reached again")
	})
}

func requireEqual(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)
}

// keptAnswer is what Redis has.
type keptAnswer struct {
	client *redis.Client
	key    string
	ttl    time.Duration
}

func onlyAnswer(t *testing.T, server *stack.RedisServer) keptAnswer {
	t.Helper()
	opts, err := redis.ParseURL(server.Address())
	require.NoError(t, err)
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	keys, err := client.Keys(t.Context(), "lectern:answer:*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	ttl, err := client.PTTL(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	return keptAnswer{client, keys[0], ttl}
}

func (k keptAnswer) replace(t *testing.T, old, with string) {
	t.Helper()
	value, err := k.client.Get(t.Context(), k.key).Result()
	require.NoError(t, err)
	require.Contains(t, value, old)
	require.NoError(t, k.client.Set(t.Context(), k.key, strings.ReplaceAll(value, old, with), redis.KeepTTL).Err())
}
