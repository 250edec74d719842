package webhooks

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// FuzzCheckURL: what may be stored is one URL by every reader, names a host
// that nobody takes for an address of the inside, and is allowed by each
// policy that allows more.
func FuzzCheckURL(f *testing.F) {
	for _, text := range []string{
		"https://example.com/hook?a=b", "HTTPS://EXAMPLE.com:443", "https://8.8.8.8/", "https://[2606:4700:4700::1111]/", "http://example.com:80/",
		"http://127.0.0.1:9999/", "https://[::ffff:169.254.169.254]/", "https://[fe80::1%25eth0]/", "https://2130706433/", "https://0x7f.1/",
		"https://127.1/", "https://017700000001/", "https://user:secret@example.com/", "https://example.com/#", "https://example.com:0/",
		"//example.com/", "https:example.com", "https://example.com/\r\nX: y", "https://example.com./", "https://example.com:/", "https://example.com:00443/",
		"https://[::1", "https://example.com\\@127.0.0.1/", "https://example.com%2f@127.0.0.1/", "https://%31%32%37.0.0.1/", "https://1.1.1.1.:443/", "https://[64:ff9b::7f00:1]/",
	} {
		f.Add(text)
	}
	production, sandbox, dev := Policy{Production: true}, Policy{}, Policy{AllowPrivate: true}
	f.Fuzz(func(t *testing.T, text string) {
		strict, open, widest := CheckURL(text, production), CheckURL(text, sandbox), CheckURL(text, dev)
		for _, err := range []error{strict, open, widest} {
			if err != nil {
				require.ErrorIs(t, err, ErrURLNotAllowed)
				require.True(t, utf8.ValidString(err.Error()))
			}
		}
		require.False(t, strict == nil && open != nil, "production allows no more than the sandbox")
		require.False(t, open == nil && widest != nil, "the sandbox allows no more than development")
		if widest != nil {
			return
		}
		request, err := http.NewRequest(http.MethodPost, text, http.NoBody)
		require.NoError(t, err)
		u := request.URL
		again, err := url.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u.Host, again.Host)
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.Nil(t, u.User)
		require.True(t, isASCII(u.Host))
		require.False(t, strings.ContainsAny(text, " \t\r\n\x00"))
		if open != nil {
			return
		}
		require.Contains(t, []string{"", "80", "443"}, u.Port())
		host := strings.TrimSuffix(u.Hostname(), ".")
		if address := net.ParseIP(host); address != nil {
			mustBePublic(t, address)

			return
		}
		require.Contains(t, host, ".")
		last := host[strings.LastIndexByte(host, '.')+1:]
		require.NotEmpty(t, strings.Trim(last, "0123456789"), "some read it as a number")
		require.False(t, strings.HasPrefix(strings.ToLower(last), "0x"))
		if strict == nil {
			require.Equal(t, "https", u.Scheme)
			require.Contains(t, []string{"", "443"}, u.Port())
		}
	})
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > '~' || r <= ' ' }) < 0
}

// mustBePublic judges by what package net knows.
func mustBePublic(t *testing.T, address net.IP) {
	t.Helper()
	require.False(t, address.IsLoopback() || address.IsPrivate() || address.IsUnspecified() || address.IsMulticast() ||
		address.IsLinkLocalUnicast() || address.IsLinkLocalMulticast() || address.IsInterfaceLocalMulticast(), address)
	require.True(t, address.IsGlobalUnicast(), address)
}

// FuzzAddress: an address is judged alike in every way to write it, and what is
// dialled is public.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{
		"8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::808:808", "64:ff9b::7f00:1", "2002:7f00:1::",
		"fe80::1", "fd00:ec2::254", "2606:4700:4700::1111", "::", "ff02::1",
	} {
		address := netip.MustParseAddr(text).As16()
		f.Add(address[:], "eth0")
	}
	f.Fuzz(func(t *testing.T, raw []byte, zone string) {
		if len(raw) != 16 {
			t.Skip("no address")
		}
		address := netip.AddrFrom16([16]byte(raw))
		allowed := addressAllowed(address, false)
		require.Equal(t, allowed, addressAllowed(address.Unmap(), false))
		require.Equal(t, allowed, addressAllowed(address.WithZone(zone), false))
		require.False(t, allowed && !addressAllowed(address, true))
		if address.Is4In6() {
			// The same IPv4 address behind a translator.
			inside := address.Unmap().As4()
			translated := netip.MustParseAddr("64:ff9b::").As16()
			copy(translated[12:], inside[:])
			require.Equal(t, allowed, addressAllowed(netip.AddrFrom16(translated), false))
		}
		if !allowed {
			return
		}
		if nat64.Contains(address) {
			address = netip.AddrFrom4([4]byte(raw[12:]))
		}
		mustBePublic(t, net.IP(address.AsSlice()))
	})
}

// FuzzRetryAfter: a receiver says when, up to a day.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 22, 18, 52, 12, 0, time.UTC)
	for _, value := range []string{
		"", "0", "120", " 5 ", "-1", "+1", "1.5", "86401", "9223372036854775808", "Sun, 22 Nov 2026 19:00:00 GMT", "Sunday, 22-Nov-26 19:00:00 GMT",
		"Sun Nov 22 19:00:00 2026", "Sun, 22 Nov 9999 19:00:00 GMT", "tomorrow",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait := retryAfter(value, now)
		require.True(t, wait >= 0 && wait <= 24*time.Hour, wait)
	})
}

// FuzzSignature: what is signed is verified by the SDK, and with one bit
// changed anywhere it is refused.
func FuzzSignature(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","type":"charge.paid"}`), "evt_1", false, uint32(0), uint8(0))
	f.Add([]byte(`{}`), "", true, uint32(77), uint8(3))
	f.Add([]byte("{\"a\":\"\xff\"}"), "evt.2", true, uint32(1<<20), uint8(7))
	secrets := Secrets{Current: NewSecret(), Previous: NewSecret()}
	f.Fuzz(func(t *testing.T, body []byte, id string, rotating bool, at uint32, bit uint8) {
		signing := Secrets{Current: secrets.Current}
		if rotating {
			signing = secrets
		}
		header, err := Headers(signing, id, time.Now(), body)
		require.NoError(t, err)
		own := signing.Current
		if rotating {
			own = signing.Previous
		}
		genuine := func(err error) bool { return err == nil || isNoEvent(err) }
		for _, secret := range []string{signing.Current, own} {
			_, err = lntpay.Verify(body, header, secret)
			require.True(t, genuine(err), err)
		}
		_, err = lntpay.VerifySignature(body, header, own)
		require.True(t, genuine(err), err)

		for _, name := range []string{"", HeaderStandardID, HeaderStandardTimestamp, HeaderStandardSignature, HeaderSignature} {
			changedBody, changed := body, header.Clone()
			if name == "" {
				changedBody = flip([]byte(string(body)), at, bit)
			} else {
				changed.Set(name, string(flip([]byte(header.Get(name)), at, bit)))
			}
			if len(changedBody) == 0 && name == "" || header.Get(name) == "" && name != "" {
				continue
			}
			if name != HeaderSignature {
				_, err = lntpay.Verify(changedBody, changed, signing.Current)
				if name == HeaderStandardSignature && rotating {
					// The other of the two may be whole.
					_, old := lntpay.Verify(changedBody, changed, signing.Previous)
					require.False(t, genuine(err) && genuine(old), name)
				} else {
					require.ErrorIs(t, err, lntpay.ErrSignature, name)
				}
			}
			if name == "" || name == HeaderSignature {
				_, err = lntpay.VerifySignature(changedBody, changed, own)
				require.ErrorIs(t, err, lntpay.ErrSignature)
			}
		}
	})
}

// isNoEvent says whether a payload was verified and is no JSON of an event.
func isNoEvent(err error) bool { return strings.Contains(err.Error(), "signed, and yet no event") }

func flip(text []byte, at uint32, bit uint8) []byte {
	if len(text) > 0 {
		text[int(at)%len(text)] ^= 1 << (bit % 8)
	}

	return text
}

// FuzzOpen: only what was sealed for the same endpoint opens.
func FuzzOpen(f *testing.F) {
	sealer, err := NewSealer([]byte(strings.Repeat("k", sealKeyBytes)))
	require.NoError(f, err)
	f.Add("we_1", "whsec_secret", sealer.Seal("we_1", "whsec_secret"), uint32(0), uint8(0))
	f.Add("", "", []byte{sealVersion}, uint32(12), uint8(7))
	f.Fuzz(func(t *testing.T, endpoint, secret string, other []byte, at uint32, bit uint8) {
		if got, err := sealer.Open("we_another", other); err != nil {
			require.ErrorIs(t, err, ErrSeal)
			require.Empty(t, got)
		} else {
			t.Fatal("forged")
		}
		sealed := sealer.Seal(endpoint, secret)
		got, err := sealer.Open(endpoint, sealed)
		require.NoError(t, err)
		require.Equal(t, secret, got)
		_, err = sealer.Open(endpoint+"x", sealed)
		require.ErrorIs(t, err, ErrSeal)
		_, err = sealer.Open(endpoint, flip(sealed, at, bit))
		require.ErrorIs(t, err, ErrSeal)
	})
}
