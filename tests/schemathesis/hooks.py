"""Who the requests of scripts/schemathesis come from: the owner of a tenant."""

import os

import requests
import schemathesis

ORIGIN = os.environ["PULSESTREAM_ORIGIN"]
LOGIN = {
    "email": os.environ["PULSESTREAM_OWNER"],
    "password": os.environ["PULSESTREAM_PASSWORD"],
    "tenant_slug": "default",
}


def log_in():
    answer = requests.post(f"{ORIGIN}/api/v1/auth/login", json=LOGIN, timeout=10)
    answer.raise_for_status()
    return answer.json()["access_token"]


@schemathesis.auth(refresh_interval=600)
class Owner:
    def get(self, case, context):
        return log_in()

    def set(self, case, token, context):
        # A logout ends the session it comes with: that must not be everybody's.
        if case.operation.path == "/api/v1/auth/logout":
            token = log_in()
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
