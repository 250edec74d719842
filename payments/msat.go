package payments

// Msat is an amount in millisatoshi, the only unit inside the system.
type Msat int64

// MsatPerSat is the number of millisatoshi in a satoshi.
const MsatPerSat Msat = 1000

// MaxMsat is the most that can ever exist: 21 million bitcoin.
const MaxMsat Msat = 21_000_000 * 100_000_000 * MsatPerSat
