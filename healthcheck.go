package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckTimeout leaves time within the 5 s of deploy/Dockerfile.
const healthcheckTimeout = 4 * time.Second

// maxAnswer is more than /readyz ever says, in bytes.
const maxAnswer = 4096

// healthcheckCommand is for containers, which have no shell and no curl.
func healthcheckCommand(s *settings) *cobra.Command {
	var worker bool
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask /readyz of the process in this container; exits 1 unless it is ready", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			address := cfg.API.OperatorListen
			if worker {
				address = cfg.Worker.OperatorListen
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthcheckTimeout)
			defer cancel()

			return checkReady(ctx, address)
		},
	}
	cmd.Flags().BoolVar(&worker, "worker", false, "ask at worker.operator_listen instead of api.operator_listen")

	return cmd
}

// checkReady asks a process that listens at address on this machine.
func checkReady(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("operator_listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, response.Status, answer)
	}

	return nil
}
