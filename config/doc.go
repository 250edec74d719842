// Package config reads the settings: a YAML file (LNTPAY_CONFIG or --config)
// overlaid by LNTPAY_* variables. Every setting has one path; the variable is
// the path in capitals with dots as underscores: sandbox.node.address is
// LNTPAY_SANDBOX_NODE_ADDRESS. An unknown or contradictory setting stops the
// start with a message that names it.
package config
