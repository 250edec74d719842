"""Receives LNTPay's webhooks with Python's standard library. docs/webhooks.md explains it."""

import base64
import hmac
import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The endpoint's secret; the new and the old one, separated by a space, while a rotation lasts.
KEYS = [base64.b64decode(secret[len("whsec_"):]) for secret in os.environ["LNTPAY_WEBHOOK_SECRET"].split()]
BASE_URL = os.environ.get("LNTPAY_BASE_URL", "http://127.0.0.1:8080")
API_KEY = os.environ.get("LNTPAY_API_KEY", "")
GAP_SECONDS = float(os.environ.get("GAP_SECONDS", "10"))
TOLERANCE_SECONDS = 300
MAX_BODY = 1 << 20

if not KEYS or not all(KEYS):
    # Anybody can sign with an empty key.
    sys.exit("LNTPAY_WEBHOOK_SECRET holds no secret (whsec_…)")


def genuine(headers, body):
    """Checks the signature over the raw body, and that it was made a moment ago."""
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        if abs(int(time.time()) - int(timestamp)) > TOLERANCE_SECONDS:
            return False
    except ValueError:
        return False
    signed = f"{event_id}.{timestamp}.".encode() + body
    for key in KEYS:
        ours = b"v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest())
        for theirs in headers.get("webhook-signature", "").split():
            # compare_digest takes the same time wherever the two differ.
            if hmac.compare_digest(ours, theirs.encode()):
                return True
    return False


def handle(event):
    """Your work goes here. It gets each event once, in order."""
    print("handled", event["sequence"], event["id"], event["type"], flush=True)


class Inbox:
    """Hands events to handle() once and in order.

    The file stands in for a table of yours: write the event's id, with a unique index, in the transaction of what
    the event causes. Events that wait for an earlier one are only in memory: a restart fetches them again.
    """

    def __init__(self, path, after):
        self.lock = threading.Lock()
        self.handled = set()
        self.next = after + 1
        self.waiting = {}
        self.file = open(path, "a+", encoding="utf-8")
        self.file.seek(0)
        for line in self.file:
            event = json.loads(line)
            self.handled.add(event["id"])
            self.next = event["sequence"] + 1

    def take(self, event):
        with self.lock:
            if event["id"] in self.handled or event["sequence"] < self.next:
                return  # a repeat
            self.waiting[event["sequence"]] = event
            while self.next in self.waiting:
                # What fails here stays, and is tried again when LNTPay delivers it again.
                handle(self.waiting[self.next])
                self.record(self.waiting.pop(self.next))
                self.next += 1

    def record(self, event):
        self.file.write(json.dumps(event) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.handled.add(event["id"])


def events_after(sequence):
    """Fetches the events after a sequence, oldest first. The API lists the newest first."""
    events, cursor = [], ""
    while True:
        request = urllib.request.Request(
            f"{BASE_URL}/v1/events?limit=100" + (f"&cursor={cursor}" if cursor else ""),
            headers={"Authorization": f"Bearer {API_KEY}"})
        with urllib.request.urlopen(request, timeout=15) as answer:
            page = json.load(answer)
        events += page["data"]
        cursor = page["next_cursor"]
        if not cursor or page["data"][-1]["sequence"] <= sequence + 1:
            return reversed(events)


def catch_up(inbox):
    """Fetches what came while we were away, and later what is missing when events wait for an earlier one."""
    behind = True
    while True:
        if behind or inbox.waiting:
            try:
                for event in events_after(inbox.next - 1):
                    inbox.take(event)
                behind = False
            except Exception as error:
                print("events could not be fetched, next try soon:", error, file=sys.stderr)
        time.sleep(GAP_SECONDS)


class Receiver(BaseHTTPRequestHandler):
    timeout = 15

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not genuine(self.headers, body):
            return self.answer(400)
        # An exception ends the connection without an answer, and LNTPay tries again.
        self.server.inbox.take(json.loads(body))
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9099"))), Receiver)
server.inbox = Inbox(os.environ.get("EVENTS_FILE", "events.jsonl"), int(os.environ.get("AFTER_SEQUENCE", "0")))
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
threading.Thread(target=catch_up, args=[server.inbox], daemon=True).start()
server.serve_forever()
