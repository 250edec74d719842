package api

import (
	"net/http"

	swgui "github.com/swaggest/swgui/v5emb"
)

// docs serves the Swagger page, with its assets from the binary: no CDN.
func docs() http.Handler { return swgui.New("LNTPay", "/openapi.json", "/docs") }
