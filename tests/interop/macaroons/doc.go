// Package macaroons holds sdk/go/l402 to the library of macaroons that lnd and
// Aperture use: each reads what the other writes, and means the same.
package macaroons
