package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/gateway"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/telemetry"
)

// mintTimeout bounds the making of a charge, while a client waits for its 402.
const mintTimeout = 15 * time.Second

// gatewayCommand is `lntpay gateway`. Its settings are a file of their own: it
// runs where neither the database nor the node can be reached.
func gatewayCommand(s *settings) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "gateway", Short: "Put prices on HTTP services: a reverse proxy that asks for payment", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := gateway.Load(s.file)
			if err != nil {
				return err
			}
			if !check {
				return runGateway(cmd.Context(), cfg)
			}
			_, secretsErr := cfg.LoadSecrets()

			return errors.Join(cfg.PrintRoutes(cmd.OutOrStdout()), secretsErr, cfg.CheckFiles())
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "check the settings, print the prices as a table, and end")

	return cmd
}

func runGateway(ctx context.Context, cfg *gateway.Config) error {
	secrets, err := cfg.LoadSecrets()
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(os.Stderr, cfg.LogLevel)
	if err != nil {
		return err
	}
	client, err := lntpay.New(lntpay.Options{APIKey: secrets.APIKey, BaseURL: secrets.BaseURL, Timeout: mintTimeout})
	if err != nil {
		return fmt.Errorf("lntpay: %w", err)
	}
	g, err := gateway.New(gateway.Options{
		Config: cfg, Charges: client.Charges, Key: secrets.Key, OldKeys: secrets.OldKeys,
		Ready: gateway.CheckLNTPay(client), Registry: newRegistry(), Log: log,
	})
	if err != nil {
		return err
	}

	return g.Run(ctx)
}
