package api

import "context"

// Watch runs what Run runs in the background, for tests that serve Handler.
func (s *Server) Watch(ctx context.Context) { s.watch(ctx) }

// RouteScopes is the route table, for tests that go through all of it.
func RouteScopes() map[string]string {
	scopes := map[string]string{}
	for _, r := range routes() {
		scopes[r.method+" "+r.path] = string(r.scope)
	}

	return scopes
}
