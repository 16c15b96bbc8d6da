"""Verifies callbacks with the published package `standardwebhooks`: one JSON object a line in, one line out each.

In: {"secret", "headers", "body" (base64), "timestamp" (optional)}. With a timestamp the message is first signed anew for that
time by the package itself, so that nothing but its age can be wrong with it. Out: `ok`, or `refused: ` and why.
"""

import base64
import json
import sys
from datetime import datetime, timezone

from standardwebhooks import Webhook, WebhookVerificationError


def verify(message):
    webhook = Webhook(message["secret"])
    headers, body = message["headers"], base64.b64decode(message["body"])
    if "timestamp" in message:
        at = datetime.fromtimestamp(message["timestamp"], tz=timezone.utc)
        headers["webhook-timestamp"] = str(message["timestamp"])
        headers["webhook-signature"] = webhook.sign(headers["webhook-id"], at, body.decode())
    webhook.verify(body, headers, json_parse=False)


for line in sys.stdin:
    try:
        verify(json.loads(line))
        print("ok", flush=True)
    except WebhookVerificationError as error:
        print(f"refused: {error}", flush=True)
