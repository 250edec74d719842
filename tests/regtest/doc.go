// Package regtest gives tests a small Lightning network: btcd on regtest, a
// merchant's lnd, a payer's lnd, and balanced channels between them; if asked
// for, also a shop's lnd, which the merchant pays over the payer. The programs are the pinned ones (deploy/devnet/tools); they run in containers
// made FROM scratch through testcontainers, without any image registry, or as
// local processes where no Docker daemon answers.
//
// A network takes about 20 s to start, so a package shares one:
//
//	func TestMain(m *testing.M) { regtest.Main(m) }
//
//	func TestX(t *testing.T) { net := regtest.Shared(t); ... }
//
// Environment: LNTPAY_REGTEST=docker or =processes forces a way to run;
// LNTPAY_TOOLS_DIR names a folder with btcd and lnd instead of building them.
//
// What is not here: assertions about LNTPay; the developer's own stack
// (deploy/devnet).
package regtest
