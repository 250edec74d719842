# Recomputes LNTPay's hash chain from its exports alone:
#   python3 recompute.py transfers.jsonl blocks.jsonl heads.jsonl audit.jsonl
# It prints the last head, or says what does not fit and ends with 1.
import datetime
import hashlib
import json
import sys

ACCOUNTS = {"available": 1, "locked": 2, "lightning_clearing": 10, "internal_clearing": 11, "routing_fee": 12,
            "service_fee": 13, "operator_loss": 14, "suspense": 15}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def number(n):
    return n.to_bytes(8, "big", signed=True)


def text(s):
    raw = s.encode()
    return number(len(raw)) + raw


def time(s):
    since = datetime.datetime.fromisoformat(s.replace("Z", "+00:00")) - EPOCH
    return number(since // datetime.timedelta(microseconds=1))


def transfer(t):
    return (text(t["workspace_id"]) + number(t["sequence"]) + text(t["id"]) + text(t["kind"]) + text(t["ref"])
            + number(ACCOUNTS[t["debit_account"]]) + number(ACCOUNTS[t["credit_account"]]) + number(t["amount_msat"])
            + number(t["available_after_msat"]) + number(t["locked_after_msat"]) + time(t["created_at"]))


def action(a):
    # The text that Postgres gives for a jsonb: a space after each comma and colon.
    detail = json.dumps(a["detail"], ensure_ascii=False)
    return (number(a["id"]) + text(a["actor"]) + text(a["action"]) + text(a["target"]) + text(a["reason"])
            + text(detail) + time(a["created_at"]))


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    transfers, blocks, heads, actions = map(lines, sys.argv[1:])
    by_place = {(t["workspace_id"], t["sequence"]): t for t in transfers}
    previous = {}
    for b in blocks:  # by workspace and number
        body = (text("lntpay/ledger-block/v1") + bytes.fromhex(previous.get(b["workspace_id"], "00" * 32))
                + text(b["workspace_id"]) + number(b["number"]) + number(b["first_sequence"])
                + number(b["last_sequence"]) + time(b["sealed_at"]))
        for sequence in range(b["first_sequence"], b["last_sequence"] + 1):
            body += transfer(by_place[b["workspace_id"], sequence])
        if hashlib.sha256(body).hexdigest() != b["hash"]:
            sys.exit(f"block {b['number']} of {b['workspace_id']} does not fit")
        previous[b["workspace_id"]] = b["hash"]
    last = "00" * 32
    for h in heads:  # by number
        body = (text("lntpay/ledger-head/v1") + bytes.fromhex(last) + number(h["number"]) + number(h["blocks"])
                + number(h["actions"]) + time(h["sealed_at"]))
        for b in blocks:
            if b["head"] == h["number"]:
                body += text(b["workspace_id"]) + number(b["number"]) + bytes.fromhex(b["hash"])
        for a in actions:
            if a["head"] == h["number"]:
                body += action(a)
        if hashlib.sha256(body).hexdigest() != h["hash"]:
            sys.exit(f"head {h['number']} does not fit")
        last = h["hash"]
    print(last)


main()
