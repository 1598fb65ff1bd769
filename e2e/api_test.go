package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a caller misspells is refused by name, not read as the default.
func TestJSONThatTheAPIDoesNotKnowIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := serve(t, dataDir(t))
	for body, named := range map[string]string{
		`{"title": "x", "style": "STYLE_FOO"}`:       "STYLE_FOO",
		`{"title": "x", "stile": "STYLE_PRACTICAL"}`: "stile",
		`{"title": "x", "organizationId": "y"}`:      "organizationId",
		`{"title": ""}`:                              "title",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			s.url+"/lectern.v1.CourseService/CreateCourse", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusBadRequest, response.StatusCode, string(answer))
		require.Contains(t, string(answer), named)
	}
}
