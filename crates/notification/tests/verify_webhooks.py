"""Verifies webhooks with the reference implementation: JSON lines in, `ok` or the reason out."""

import base64
import json
import sys

from standardwebhooks import Webhook

for line in sys.stdin:
    request = json.loads(line)
    try:
        Webhook(request["secret"]).verify(base64.b64decode(request["body"]), request["headers"])
        print("ok", flush=True)
    except Exception as error:
        print(f"refused: {error}", flush=True)
