package l402

import "encoding/hex"

// Hex is how Aperture's gRPC clients send a macaroon.
func (m *Macaroon) Hex() string { return hex.EncodeToString(m.bytes()) }
