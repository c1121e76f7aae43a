"""Mail for tests: a real SMTP server that can be told to refuse or to wait, and couriers run by hand."""

import asyncio
import email
import email.policy
import itertools
import os
import re
import signal
import ssl
import subprocess
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from . import procs
from .stack import binary, free_port
from .wait import PATIENCE, eventually

_numbers = itertools.count(1)
LINK = re.compile(r"https?://\S+[?&]token=([A-Za-z0-9_-]+)")


class Mail:
    """One message as the server got it."""

    def __init__(self, envelope, session):
        self.sender, self.recipients = envelope.mail_from, envelope.rcpt_tos
        self.raw = envelope.original_content
        self.encrypted = session.ssl is not None
        self.login = session.auth_data
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)
        self.id = self.message["Message-ID"]
        self.text = self.message.get_content()
        self.link = LINK.search(self.text)[0]
        self.token = LINK.search(self.text)[1]


class MailServer:
    """Accepts everything unless told otherwise. mails: what it has accepted, in order."""

    def __init__(self, certificate=None, implicit_tls=False, login=None):
        self.mails = []
        self.attempts = []              # (time, recipient) of each RCPT
        self.refusals = {}              # stage: [answers to give, one a time]
        self.held = set()               # stages that wait
        self.waiting = 0                # sessions that do
        self.port = free_port()
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
        self.login = login
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **self._options(context, implicit_tls))

    def _options(self, context, implicit_tls):
        options = {"decode_data": False}
        if self.login:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        if implicit_tls:
            return options | {"ssl_context": context, "auth_require_tls": False}
        return options | ({"tls_context": context, "require_starttls": True} if context else {"auth_require_tls": False})

    def _authenticate(self, server, session, envelope, mechanism, data):
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=True, auth_data=given[0])

    async def _stage(self, name):
        self.waiting += name in self.held
        while name in self.held:
            await asyncio.sleep(0.01)
        answers = self.refusals.get(name) or []
        return answers.pop(0) if answers else None

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.attempts.append((time.monotonic(), address))
        refusal = await self._stage("RCPT")
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        refusal = await self._stage("DATA")
        if refusal:
            return refusal
        self.mails.append(Mail(envelope, session))
        return "250 OK"

    def start(self):
        self.controller.start()
        return self

    def stop(self):
        self.held.clear()
        self.controller.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, address):
        return [mail for mail in list(self.mails) if mail.recipients == [address]]

    def expect(self, address, timeout=PATIENCE):
        """The first mail to an address."""
        return eventually(lambda: self.to(address), timeout, f"mail to {address}")[0]


class Courier:
    """A courier of the test's own beside a stack, logging among the stack's logs."""

    def __init__(self, stack, **settings):
        self.stack = stack
        self.log = stack.var / "log" / f"courier-{next(_numbers)}.log"
        keep = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "PARLEY_TEST_RUN")
        env = {k: os.environ[k] for k in keep if k in os.environ} | {k: str(v) for k, v in settings.items()}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([binary("courier"), "--config", str(stack.var / "conf/parley.env")],
                                            env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: "event=started" in self.text() or self.process.poll() is not None, what="the courier starts")

    def text(self):
        return self.log.read_text()

    def kill(self, sig=signal.SIGKILL):
        procs.kill(self.process.pid, sig)
        return self.process.wait(PATIENCE)

    def stop(self):
        """Gracefully; the exit code."""
        return self.process.poll() if self.process.poll() is not None else self.kill(signal.SIGTERM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def certificate(directory):
    """A self-signed certificate for 127.0.0.1, as (file, key file)."""
    files = str(directory / "cert.pem"), str(directory / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files
