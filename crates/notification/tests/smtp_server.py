"""A mail server for tests, on a loopback port of its own.

Arguments: certificate, key, and options: `implicit`, `starttls` or `plain`; `auth`; `defer`; `refuse`;
`hang`. Prints its port, then one line of JSON for each letter it accepts. Ends when its standard input does.
"""

import asyncio
import base64
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# Clients that break off are what the tests are about.
logging.disable()

certificate, key, *options = sys.argv[1:]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if "defer" in options:
            return "451 4.7.1 greylisted, come back later"
        if "refuse" in options:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": base64.b64encode(envelope.content).decode(),
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.decode() if session.authenticated else None,
            "hello": session.host_name,
        }
        print(json.dumps(letter), flush=True)
        if "hang" in options:
            await asyncio.sleep(3600)
        return "250 2.0.0 accepted"


def authenticate(server, session, envelope, mechanism, data):
    if isinstance(data, LoginPassword) and data.password == b"hunter2":
        return AuthResult(success=True, auth_data=data.login)
    return AuthResult(success=False, handled=False)


def connection():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=tls if "starttls" in options else None,
        require_starttls="starttls" in options,
        auth_required="auth" in options,
        # With implicit TLS aiosmtpd does not see that the connection is encrypted.
        auth_require_tls="starttls" in options,
        authenticator=authenticate,
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        connection, host="127.0.0.1", port=0, ssl=tls if "implicit" in options else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
