package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const adminTimeout = time.Minute

// environmentFlag reads --env; with one environment configured it may be left
// out.
func environmentFlag(cfg *config.Config, flag string) (payments.Environment, config.Environment, error) {
	environments := cfg.Environments()
	if flag == "" && len(environments) == 1 {
		for name, env := range environments {
			return name, env, nil
		}
	}
	env, ok := environments[payments.Environment(flag)]
	if !ok {
		return "", env, fmt.Errorf("--env: %q is not a configured environment (sandbox or production)", flag)
	}

	return payments.Environment(flag), env, nil
}

// withStore runs fn on the database of the chosen environment.
func withStore(ctx context.Context, s *settings, flag string, fn func(context.Context, *store.Store) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()

	return withEnvironment(ctx, s, flag, func(ctx context.Context, _ config.Environment, db *store.Store) error {
		return fn(ctx, db)
	})
}

// withEnvironment is withStore for those who need more of the environment, and
// bring their own deadline.
func withEnvironment(ctx context.Context, s *settings, flag string,
	fn func(context.Context, config.Environment, *store.Store) error,
) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	name, env, err := environmentFlag(cfg, flag)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, name, env.DatabaseURL, env.MaxConns)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckEnvironment(ctx); err != nil {
		return err
	}

	return fn(ctx, env, db)
}

// printResult writes a value as JSON, or the line for a human.
func printResult(cmd *cobra.Command, asJSON bool, value any, line string) error {
	if !asJSON {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), line)

		return err
	}
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")

	return encoder.Encode(value)
}

func migrateCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database of each configured environment up to date", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*adminTimeout)
			defer cancel()
			migrated := []payments.Environment{}
			for name, env := range cfg.Environments() {
				if err := migrate(ctx, name, env); err != nil {
					return err
				}
				migrated = append(migrated, name)
			}
			if len(migrated) == 0 {
				return errors.New("no environment is configured: set sandbox.database_url or production.database_url")
			}
			slices.Sort(migrated)

			return printResult(cmd, asJSON, map[string]any{"migrated": migrated}, fmt.Sprint("migrated: ", migrated))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	return cmd
}

func migrate(ctx context.Context, name payments.Environment, env config.Environment) error {
	runtime, err := store.ParseDSN(env.DatabaseURL)
	if err != nil {
		return fmt.Errorf("%s.database_url: %w", name, err)
	}
	owner := env.MigrateDatabaseURL
	if owner == "" {
		owner = env.DatabaseURL
	}

	return store.Migrate(ctx, name, owner, runtime.User)
}

// actor is who runs a command that makes something, for the audit trail.
type actor struct{ by, reason string }

func (a *actor) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.by, "by", "", "your name, for the audit trail (default: the user of this machine)")
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, for the audit trail")
}

// operator is the actor; without a name the user of this machine. A reason is
// not asked for: what is made says enough.
func (a *actor) operator(cmd *cobra.Command) store.Operator {
	by := store.Operator{Name: strings.TrimSpace(a.by), Reason: strings.TrimSpace(a.reason)}
	if by.Name == "" {
		by.Name = fmt.Sprintf("uid %d", os.Getuid())
		if u, err := user.Current(); err == nil && u.Username != "" {
			by.Name = u.Username
		}
	}
	if by.Reason == "" {
		by.Reason = cmd.CommandPath()
	}

	return by
}

func workspaceCommand(s *settings) *cobra.Command {
	var env string
	var by actor
	var asJSON bool
	create := &cobra.Command{
		Use: "create NAME", Short: "Create a workspace", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd.Context(), s, env, func(ctx context.Context, db *store.Store) error {
				workspace, err := db.AddWorkspaceAs(ctx, args[0], by.operator(cmd))
				if err != nil {
					return err
				}

				return printResult(cmd, asJSON, map[string]any{
					"id": workspace.ID, "object": "workspace", "environment": db.Environment,
					"name": workspace.Name, "created_at": workspace.CreatedAt.UTC(),
				}, workspace.ID)
			})
		},
	}
	create.Flags().StringVar(&env, "env", "", "sandbox or production (default: the only one that is configured)")
	create.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	by.register(create)
	cmd := &cobra.Command{Use: "workspace", Short: "Manage workspaces"}
	cmd.AddCommand(create)

	return cmd
}

func keyCommand(s *settings) *cobra.Command {
	var env, workspace, name string
	var scopes []string
	var by actor
	var expiresIn time.Duration
	var asJSON bool
	create := &cobra.Command{
		Use: "create", Short: "Create an API key; its secret is shown once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd.Context(), s, env, func(ctx context.Context, db *store.Store) error {
				var expiresAt *time.Time
				if cmd.Flags().Changed("expires-in") && expiresIn <= 0 {
					return fmt.Errorf("--expires-in: %s is not in the future", expiresIn)
				}
				if expiresIn > 0 {
					at := time.Now().Add(expiresIn)
					expiresAt = &at
				}
				key, secret, err := apikey.CreateKey(ctx, db, by.operator(cmd), workspace, name, scopes, expiresAt)
				if err != nil {
					return err
				}

				return printResult(cmd, asJSON, map[string]any{
					"id": key.ID, "object": "key", "environment": db.Environment, "name": key.Name,
					"scopes": key.Scopes, "secret": secret, "last4": key.Last4,
					"expires_at": key.ExpiresAt, "created_at": key.CreatedAt.UTC(),
				}, secret)
			})
		},
	}
	create.Flags().StringVar(&env, "env", "", "sandbox or production (default: the only one that is configured)")
	create.Flags().StringVar(&workspace, "workspace", "", "id of the workspace (ws_…)")
	create.Flags().StringVar(&name, "name", "cli", "a name to tell keys apart")
	create.Flags().StringSliceVar(&scopes, "scopes", nil, "comma-separated scopes, such as charges:read,charges:write")
	create.Flags().DurationVar(&expiresIn, "expires-in", 0, "lifetime, such as 720h; none by default")
	create.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	by.register(create)
	_ = create.MarkFlagRequired("workspace")
	_ = create.MarkFlagRequired("scopes")
	cmd := &cobra.Command{Use: "key", Short: "Manage API keys"}
	cmd.AddCommand(create)

	return cmd
}
