// Package devnet is a whole LNTPay stack on one machine, without containers:
// Postgres, Temporal and its UI, btcd on regtest, two lnd nodes with balanced
// channels, the API and the worker, each a process of its own that is
// restarted when it dies. It is what `lntpay dev` runs (Command).
//
// Its parts serve tests too: StartPostgres, StartTemporal, StartBtcd, StartLnd
// and OpenChannels start one component in a folder, wait until it is ready and
// give back a way to stop it.
//
// A stack keeps everything in its state folder (.lntpay in the repository):
//
//	dev.json          what runs where; exists while the stack is ready
//	lntpay.env        the configuration of api and worker
//	bin/lntpay        the program that api and worker run
//	logs/             one log for each process, and the one before as .1
//	credentials.json  the workspace and the key
//	secrets.json      passwords of Postgres's roles and of btcd
//	*.key             what webhook secrets and preimages are derived from
//	postgres/, btcd/, lnd_merchant/, lnd_payer/, temporal/, temporal_ui/
//
// Removing the folder while nothing runs starts over.
//
// What is not here: the pinned versions of the programs (package tools) and
// anything that a production deployment uses.
package devnet
