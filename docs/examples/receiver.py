#!/usr/bin/env python3
"""Receives callbacks of durable-timer: checks their signatures, does the work of each once, refuses stale senders.

Python's standard library only, 3.9 or later:

    SIGNING_SECRETS='whsec_…' PORT=9000 DATABASE=receiver.db python3 receiver.py

While a secret is exchanged, SIGNING_SECRETS has the old one and the new one, with a space between them. A test runs this file
against the server.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How far the clocks may be apart. Older messages may be copies that somebody kept.
TOLERANCE_SECONDS = 5 * 60
# A payload has up to 256 KiB, a third more where it stands as base64, and the envelope a few KiB.
BODY_BYTES_MAX = 1024 * 1024

SECRETS = [base64.b64decode(text.removeprefix("whsec_")) for text in os.environ.get("SIGNING_SECRETS", "").split()]
# Anybody can sign with a key that is empty.
if not SECRETS or min(map(len, SECRETS)) < 24:
    raise SystemExit("SIGNING_SECRETS must have one or more secrets of a group, whsec_…")
DATABASE = os.environ.get("DATABASE", "receiver.db")


def is_genuine(headers, body, now):
    """Whether one of our secrets made one of the signatures, not long ago. `body`: the bytes as they came."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not webhook_id or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{webhook_id}.{timestamp}.".encode("latin-1") + body
    expected = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in SECRETS]
    # Other versions than v1 may come some day beside it: they are passed over.
    given = [
        signature[len("v1,") :].encode("latin-1")
        for signature in headers.get("webhook-signature", "").split(" ")
        if signature.startswith("v1,")
    ]
    # compare_digest takes the same time wherever the first difference is.
    return any([hmac.compare_digest(one, other) for one in expected for other in given])


def work(database, callback):
    """What the timer is for, in the same transaction as the notes about it."""
    payload = json.dumps(callback.get("payload"))
    database.execute("INSERT INTO done (timer, payload) VALUES (?, ?)", (callback["id"], payload))


def handle(webhook_id, token, body):
    """Does the work unless it was done before; gives the status to answer."""
    callback = json.loads(body)
    timer = json.dumps([callback["group"], callback["id"]])
    database = sqlite3.connect(DATABASE, timeout=10, isolation_level=None)
    try:
        # Of two copies at the same time, the second waits here for the first.
        database.execute("BEGIN IMMEDIATE")
        fresh = database.execute(
            "INSERT INTO seen (webhook_id, at) VALUES (?, ?) ON CONFLICT DO NOTHING", (webhook_id, int(time.time()))
        ).rowcount
        if not fresh:
            database.execute("ROLLBACK")
            return 200
        newest = database.execute(
            "INSERT INTO fences (timer, token) VALUES (?, ?)"
            " ON CONFLICT (timer) DO UPDATE SET token = excluded.token WHERE excluded.token > fences.token",
            (timer, token),
        ).rowcount
        if not newest:
            # Of a sender that was replaced, or of a definition that was.
            database.execute("ROLLBACK")
            return 409
        work(database, callback)
        database.execute("COMMIT")
        print(f"did {callback['id']} for {webhook_id}", flush=True)
        return 200
    finally:
        # Whatever went wrong before the COMMIT leaves nothing behind, and the callback comes again.
        database.close()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A client that stops sending does not keep its thread.
    timeout = 30

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16) or int(length) > BODY_BYTES_MAX:
            return self.refuse(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.headers, body, time.time()):
            return self.refuse(401)
        try:
            status = handle(self.headers["webhook-id"], int(self.headers["timer-fencing-token"]), body)
        except Exception as error:  # noqa: BLE001: whatever it is, the callback has to come again
            self.log_error("the work failed: %s", error)
            status = 500
        self.answer(status)

    def refuse(self, status):
        # Whoever sent this may have sent more of it.
        self.close_connection = True
        self.answer(status)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main():
    database = sqlite3.connect(DATABASE)
    database.executescript(
        """
        PRAGMA journal_mode = WAL;
        CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY, at INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS fences (timer TEXT PRIMARY KEY, token INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS done (timer TEXT NOT NULL, payload TEXT);
        """
    )
    database.close()
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9000))), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
