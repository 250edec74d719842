// Package check says in one screen what is wrong with an installation, all at
// once: `lntpay check`. Settings and files are judged without asking anybody,
// also at the start of api and worker; Postgres, Temporal and the node are asked
// on top of that. No line tells a secret.
package check
