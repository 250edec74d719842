package check

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const (
	// othersMayRead are the permission bits that no secret should have.
	othersMayRead = 0o007
	// keyBytes is the size of both kinds of key.
	keyBytes = 32
)

// addresses judges where the process listens.
func (f *findings) addresses(cfg *config.Config, parts Parts) {
	if parts.API {
		f.operator("api.operator_listen", cfg.API.OperatorListen)
		if _, err := cfg.API.ServerTLS(); err != nil {
			f.add(Error, "api", "%v", err)
		}
		if cfg.API.TLSCertFile == "" && !isLocal(cfg.API.Listen) {
			f.add(Note, "api.listen", "%s without TLS: put a proxy with TLS in front", cfg.API.Listen)
		}
	}
	if parts.Worker && !parts.API {
		f.operator("worker.operator_listen", cfg.Worker.OperatorListen)
	}
}

func (f *findings) operator(setting, address string) {
	host, _, err := net.SplitHostPort(address)
	switch ip, ipErr := netip.ParseAddr(host); {
	case err != nil:
		f.add(Error, setting, "%q is not host:port", address)
	case host == "" || ipErr == nil && ip.IsUnspecified():
		f.add(Warning, setting, "%s is every address of this machine: nobody but your monitoring may reach it", address)
	case ipErr == nil && isPublic(ip):
		f.add(Warning, setting, "%s is a public address: metrics and health are for you alone", address)
	}
}

// environment judges the settings and files of one.
func (f *findings) environment(name payments.Environment, env config.Environment, parts Parts) {
	at := string(name) + "."
	f.keyFile(at+"secrets_key_file", env.SecretsKeyFile)
	if parts.Worker {
		if err := env.CheckWorker(name); err != nil {
			f.lines = append(f.lines, Settings(err)...)
		}
		f.keyFile(at+"preimage_key_file", env.PreimageKeyFile)
		for _, file := range env.OldPreimageKeyFiles {
			f.keyFile(at+"old_preimage_key_files", file)
		}
		f.nodeFiles(at, env)
	} else {
		for _, unneeded := range []struct{ setting, value string }{
			{"preimage_key_file", env.PreimageKeyFile}, {"node.macaroon_file", env.Node.MacaroonFile},
			{"node.spend_macaroon_file", env.Node.SpendMacaroonFile}, {"payer.macaroon_file", env.Payer.MacaroonFile},
		} {
			if unneeded.value != "" {
				f.add(Warning, at+unneeded.setting, "the api does not need it: give it to the worker alone")
			}
		}
	}
	f.dsn(at+"database_url", env.DatabaseURL)
	f.temporalSettings(at+"temporal", env.Temporal)
	f.payouts(at+"payouts.", env.Payouts)
}

// keyFile judges 32 bytes in hex. No line tells what is in the file.
func (f *findings) keyFile(setting, file string) {
	text, ok := f.file(setting, file, true)
	if !ok {
		return
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keyBytes {
		f.add(Error, setting, "%s does not hold %d hex digits (openssl rand -hex 32)", file, 2*keyBytes)

		return
	}
	f.add(OK, setting, "%s", file)
}

// file reads one; false says that there is nothing to look at. Whether it must
// be set is CheckWorker's to say.
func (f *findings) file(setting, file string, secret bool) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	text, err := os.ReadFile(file)
	if err != nil {
		f.add(Error, setting, "%v", err)

		return nil, false
	}
	if info, err := os.Stat(file); secret && err == nil && info.Mode().Perm()&othersMayRead != 0 {
		f.add(Warning, setting, "%s is open to every user of this machine (%s): chmod 600", file, info.Mode().Perm())
	}

	return text, true
}

// nodeFiles judges the certificate and what the macaroons allow, which they say
// themselves.
func (f *findings) nodeFiles(at string, env config.Environment) {
	f.file(at+"node.tls_cert_file", env.Node.TLSCertFile, false)
	receive, spend := lightning.ReceivePermissions(), lightning.SpendPermissions()
	if env.Node.SpendMacaroonFile == "" {
		f.macaroon(at+"node.macaroon_file", env.Node.MacaroonFile, slices.Concat(receive, spend))
		if env.Node.MacaroonFile != "" {
			f.add(Note, at+"node.spend_macaroon_file", "not set, so that one macaroon receives and pays: `lntpay macaroons` separates them")
		}
	} else {
		f.macaroon(at+"node.macaroon_file", env.Node.MacaroonFile, receive)
		f.macaroon(at+"node.spend_macaroon_file", env.Node.SpendMacaroonFile, spend)
	}
	f.file(at+"payer.tls_cert_file", env.Payer.TLSCertFile, false)
	f.macaroon(at+"payer.macaroon_file", env.Payer.MacaroonFile, lightning.PayerPermissions())
}

func (f *findings) macaroon(setting, file string, needed []string) {
	if _, ok := f.file(setting, file, true); !ok {
		return
	}
	allowance, err := lightning.ReadAllowance(file, needed)
	switch {
	case err != nil:
		f.add(Error, setting, "%v", err)
	case len(allowance.Missing) > 0:
		f.add(Error, setting, "%s lacks %s: bake it anew by `lntpay macaroons`", file, some(allowance.Missing))
	case len(allowance.Beyond) > 0:
		f.add(Warning, setting, "%s may do more than is needed (%s): `lntpay macaroons` bakes one that may not",
			file, some(allowance.Beyond))
	default:
		f.add(OK, setting, "%s allows what is needed and nothing else", file)
	}
}

// some names the first few of a list.
func some(list []string) string {
	const most = 4
	if len(list) <= most {
		return strings.Join(list, ", ")
	}

	return strings.Join(list[:most], ", ") + ", …"
}

// dsn judges how Postgres is reached.
func (f *findings) dsn(setting, dsn string) {
	cfg, err := store.ParseDSN(dsn)
	if err != nil {
		f.add(Error, setting, "%v", err)

		return
	}
	if isLocalHost(cfg.Host) {
		return
	}
	plain := cfg.TLSConfig == nil
	for _, fallback := range cfg.Fallbacks {
		plain = plain || fallback.TLSConfig == nil
	}
	switch {
	case plain:
		f.add(Warning, setting, "%s is not this host, and the DSN lets TLS be left out: sslmode=verify-full", cfg.Host)
	case cfg.TLSConfig.InsecureSkipVerify && cfg.TLSConfig.VerifyPeerCertificate == nil:
		f.add(Warning, setting, "the certificate of %s is not checked: sslmode=verify-full", cfg.Host)
	}
}

func (f *findings) temporalSettings(at string, cfg config.Temporal) {
	if _, err := cfg.TLS.Client(); err != nil {
		f.add(Error, at+".tls", "%v", err)
	}
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		if cfg.Address != "" {
			f.add(Error, at+".address", "%q is not host:port", cfg.Address)
		}

		return
	}
	if !cfg.TLS.Enabled && !isLocalHost(host) {
		f.add(Warning, at+".tls.enabled", "%s is not this host, and TLS is off", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil && isPublic(ip) {
		f.add(Warning, at+".address", "%s is a public address: whoever reaches Temporal can send it commands", host)
	}
}

// payouts names the limits that are none.
func (f *findings) payouts(at string, p config.Payouts) {
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"max_amount_msat", int64(p.MaxAmountMsat)},
		{"workspace_daily_msat", int64(p.WorkspaceDailyMsat)}, {"workspace_open", int64(p.WorkspaceOpen)},
		{"workspace_open_msat", int64(p.WorkspaceOpenMsat)}, {"node_daily_msat", int64(p.NodeDailyMsat)},
		{"node_open", int64(p.NodeOpen)}, {"node_open_msat", int64(p.NodeOpenMsat)},
	} {
		if limit.value == 0 {
			f.add(Note, at+limit.name, "0 is no limit")
		}
	}
}

// isLocal reports whether host:port is this machine's alone.
func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)

	return err == nil && isLocalHost(host)
}

// isLocalHost reports the same of a host: loopback, or the folder of a socket.
func isLocalHost(host string) bool {
	ip, err := netip.ParseAddr(host)

	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && ip.IsLoopback()
}

func isPublic(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}
