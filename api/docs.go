package api

import (
	"net/http"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// docsPolicy keeps the page to this server: a browser refuses it all other
// hosts, so that the API key that is typed into it goes nowhere else. Its
// scripts and styles are partly inline.
const docsPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docs serves the Swagger page, with its assets from the binary: no CDN.
func docs() http.Handler {
	page := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "LNTPay", SwaggerJSON: "/openapi.json", BasePath: "/docs",
		SettingsUI: map[string]string{
			// The key stays in this browser until Logout.
			"persistAuthorization": "true",
			"tryItOutEnabled":      "true",
			// The badge of an outside service; off whatever the default becomes.
			"validatorUrl": "null",
		},
	})

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		page.ServeHTTP(w, r)
	})
}
