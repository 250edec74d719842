#!/bin/sh
# Verifies one delivery of an LNTPay webhook with openssl. docs/webhooks.md explains it.
#
#   LNTPAY_WEBHOOK_SECRET='whsec_…' verify.sh HEADERS BODY [INBOX]
#
# HEADERS is a file of the request's header lines, BODY one of its raw body. The exit status is 0 when the delivery is
# genuine, else 1. With INBOX, a folder, an event is kept there once, as SEQUENCE.ID.json: ls shows them in order.
#
# The secret is an argument of openssl: other users of the machine can see it in the list of processes.
set -euf

headers=$1 body=$2 inbox=${3-}

refuse() { echo "refused: $*" >&2; exit 1; }

header() {
	awk -v name="$1:" 'tolower(substr($0, 1, length(name))) == name {
		sub(/^[^:]*:[ \t]*/, ""); sub(/[ \t\r]*$/, ""); print; exit
	}' "$headers"
}

# blind hides what is compared behind a random key, so that the time that a comparison takes tells nothing.
random=$(openssl rand -hex 32)
blind() { printf %s "$1" | openssl dgst -sha256 -hmac "$random" -r; }
[ -n "$(blind x)" ] || refuse "openssl does not work"

sign() {
	hex=$(printf %s "${1#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
	[ -n "$hex" ] || return 1
	{ printf %s. "$id" "$timestamp"; cat "$body"; } |
		openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | openssl base64 -A
}

genuine() {
	for secret in $LNTPAY_WEBHOOK_SECRET; do
		# Anybody can sign with an empty key, or with nothing where openssl fails.
		case $secret in whsec_?*) ;; *) refuse "LNTPAY_WEBHOOK_SECRET is not whsec_ and base64" ;; esac
		ours=$(sign "$secret")
		[ ${#ours} -eq 44 ] || refuse "openssl made no signature"
		ours=$(blind "v1,$ours")
		for theirs in $(header webhook-signature); do
			if [ "$(blind "$theirs")" = "$ours" ]; then return 0; fi
		done
	done
	return 1
}

# keep moves the event to its name as a whole. LNTPay writes the sequence before the data; with jq, use jq .sequence.
keep() {
	sequence=$(grep -o '"sequence":[0-9]*' "$body" | head -n 1 | cut -d: -f2)
	name=$inbox/$(printf %012d "$sequence").$id.json
	if [ -e "$name" ]; then echo "repeat"; return; fi
	cp "$body" "$inbox/.$id.$$"
	mv "$inbox/.$id.$$" "$name"
}

id=$(header webhook-id)
timestamp=$(header webhook-timestamp)
case $timestamp in '' | 0* | *[!0-9]* | ????????????*) refuse "no timestamp" ;; esac
age=$(($(date +%s) - timestamp))
if [ "$age" -gt 300 ] || [ "$age" -lt -300 ]; then refuse "a timestamp more than five minutes away"; fi
genuine || refuse "a wrong signature"
if [ -n "$inbox" ]; then keep; fi
echo "genuine $id"
