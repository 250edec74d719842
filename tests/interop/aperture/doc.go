// Package aperture holds the tests of sdk/go's L402 against Aperture, the
// reference implementation, as a module of its own: Aperture needs much that the
// product does not.
package aperture
