// Package secret knows what a stack must not tell: tests look for it in
// histories, logs and traces.
package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// Of is what must be in no history, no log and no trace: every key, macaroon,
// preimage and invoice of an environment as it is now. The keys of the API are
// those of whoever made them.
func Of(ctx context.Context, env config.Environment, db *store.Store) ([][]byte, error) {
	keys, secrets, err := ofFiles(env)
	if err != nil {
		return nil, err
	}
	database, err := pgx.ParseConfig(env.DatabaseURL)
	if err != nil {
		return nil, err
	}
	secrets = append(secrets, []byte("whsec_"), []byte(database.User+":"+database.Password+"@"))
	for _, one := range []struct {
		query  string
		derive func(key, node, id string) (lightning.Preimage, error)
	}{
		{
			"SELECT id, node, key_id, coalesce(bolt11, 'none of it'), NULL::bytea FROM charge",
			func(key, node, id string) (lightning.Preimage, error) {
				return keys.Derive(key, payments.Sandbox, node, id)
			},
		},
		{
			"SELECT id, '', key_id, bolt11, NULL::bytea FROM sandbox_invoice",
			func(key, _, id string) (lightning.Preimage, error) { return keys.DeriveSandbox(key, id) },
		},
		{"SELECT id, '', '', bolt11, preimage FROM withdrawal", nil},
	} {
		found, err := ofPayments(ctx, db, one.query, one.derive)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, found...)
	}

	return secrets, nil
}

// ofPayments are the invoice and the preimage of each row of a query.
func ofPayments(ctx context.Context, db *store.Store, query string,
	derive func(key, node, id string) (lightning.Preimage, error),
) (secrets [][]byte, err error) {
	rows, err := db.Pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, node, key, bolt11 string
		var preimage []byte
		if err := rows.Scan(&id, &node, &key, &bolt11, &preimage); err != nil {
			return nil, err
		}
		if derive != nil {
			derived, err := derive(key, node, id)
			if err != nil {
				return nil, err
			}
			preimage = derived[:]
		}
		secrets = append(secrets, []byte(bolt11))
		if preimage != nil {
			secrets = append(secrets, preimage)
		}
	}

	return secrets, rows.Err()
}

// ofFiles are the keys and the macaroons that the processes hold.
func ofFiles(env config.Environment) (*lightning.KeyRing, [][]byte, error) {
	keys, err := lightning.LoadKeyRing(env.PreimageKeyFile, nil)
	if err != nil {
		return nil, nil, err
	}
	var secrets [][]byte
	for _, path := range []string{
		env.PreimageKeyFile, env.SecretsKeyFile, env.Node.MacaroonFile, env.Node.SpendMacaroonFile, env.Payer.MacaroonFile,
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		if key, err := hex.DecodeString(string(bytes.TrimSpace(content))); err == nil {
			content = key
		}
		secrets = append(secrets, content)
	}

	return keys, secrets, nil
}

// Find is an error if one of the secrets is in a text, in any form in
// which it could have got there. It does not say which: the error is printed.
func Find(text []byte, secrets [][]byte) error {
	for i, secret := range secrets {
		// As fmt and encoding/json write bytes.
		numbers := strings.Trim(fmt.Sprintf("%d", secret), "[]")
		for _, form := range [][]byte{
			secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret))),
			[]byte(base64.RawStdEncoding.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret)),
			[]byte(numbers), []byte(strings.ReplaceAll(numbers, " ", ",")),
		} {
			if before, _, found := bytes.Cut(text, form); found {
				line := before[bytes.LastIndexByte(before, '\n')+1:]

				return fmt.Errorf("secret %d of %d is there, after: %s", i+1, len(secrets), line[max(0, len(line)-300):])
			}
		}
	}

	return nil
}
