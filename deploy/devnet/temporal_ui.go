package devnet

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// temporalUISpec writes the UI's configuration and says how it is run. Write
// actions stay on: terminating a workflow by hand is worth trying out here.
func temporalUISpec(dir, log string, built map[tools.Name]string, temporalAddress string, port int, namespace string) (Spec, error) {
	config := filepath.Join(dir, "config")
	if err := os.MkdirAll(config, 0o755); err != nil {
		return Spec{}, fmt.Errorf("make the folder of the Temporal UI: %w", err)
	}
	text := fmt.Sprintf("temporalGrpcAddress: %s\nhost: 127.0.0.1\nport: %d\nenableUi: true\n"+
		"cors:\n  cookieInsecure: true\ndefaultNamespace: %s\ndisableNewsFetch: true\n",
		temporalAddress, port, namespace)
	if err := os.WriteFile(filepath.Join(config, "development.yaml"), []byte(text), 0o600); err != nil {
		return Spec{}, fmt.Errorf("write the Temporal UI's configuration: %w", err)
	}
	args := []string{"-r", dir, "-c", "config", "-e", "development", "start"}

	return Spec{
		Name: "temporal_ui", Path: built[tools.TemporalUI], Args: func() []string { return args },
		Dir: dir, Log: log, Keep: true, StopWithin: 5 * time.Second,
		Ready: func(ctx context.Context) error { return httpOK(ctx, "http://"+address(port)+"/healthz") },
	}, nil
}

// httpOK asks for a page and wants a 200.
func httpOK(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}

	return nil
}
