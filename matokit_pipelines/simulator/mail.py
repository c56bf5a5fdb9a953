"""A mail server on this machine that keeps what it is given: for the demo, a trial, and tests. Real SMTP, by aiosmtpd.

It forwards nothing. Belongs here: the server, its faults, what it kept. Does not belong here: certificates (they are
handed in), reading mails.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from types import TracebackType
from typing import Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Security = Literal["none", "starttls", "tls"]


@dataclass
class MailFaults:
    """All off by default; may be changed while the server runs.

    refuse: recipient -> the server's answer to it, such as `550 5.1.1 No such user`. greylist_seconds: a recipient is
    put off (451) until so long after it was first asked for. refuse_data: the answer to every mail, such as
    `554 5.6.0 Not like this`; refuse_html: the same only for mails with an HTML part. slow_seconds: a pause before
    each mail is confirmed. drop_after, drop_before: the connection ends so many times after or before a mail is taken.
    """

    refuse: Mapping[str, str] = field(default_factory=dict)
    greylist_seconds: float = 0.0
    refuse_data: str = ""
    refuse_html: str = ""
    slow_seconds: float = 0.0
    drop_before: int = 0
    drop_after: int = 0


@dataclass(frozen=True)
class Kept:
    """One mail that was taken: from and to whom by the envelope, when, and the mail itself."""

    sender: str
    recipients: tuple[str, ...]
    at: datetime
    mail: EmailMessage


class MailServer:
    """A server on 127.0.0.1, in a thread of this process. Use it in a `with` statement or call stop().

    security, context: how connections are encrypted; a server context is needed unless `none`. login: (user,
    password) that it asks for. now: the clock (aware) of greylisting and of what is kept.
    """

    def __init__(
        self,
        *,
        security: Security = "none",
        context: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        faults: MailFaults | None = None,
        now: Callable[[], datetime] | None = None,
        port: int = 0,
    ) -> None:
        if (context is None) != (security == "none"):
            raise ValueError("a context is handed in for starttls and tls, and for nothing else")
        self.faults = faults or MailFaults()
        self.kept: list[Kept] = []
        self.answers: Counter[str] = Counter()
        self._security, self._context, self._login = security, context, login
        self._handler = _Handler(self, now or (lambda: datetime.now(UTC)))
        self.host, self.port = "127.0.0.1", port or _free_port()
        self._controller: Controller | None = None
        self.up()

    def up(self) -> None:
        """Listen, again at the same port."""
        if self._controller is not None:
            return
        self._controller = Controller(
            self._handler,
            hostname=self.host,
            port=self.port,
            ssl_context=self._context if self._security == "tls" else None,
            tls_context=self._context if self._security == "starttls" else None,
            require_starttls=self._security == "starttls",
            authenticator=self._handler.authenticate,
            auth_required=self._login is not None,
            auth_require_tls=False,
            server_hostname="mail.simulated",
        )
        self._controller.start()

    def down(self) -> None:
        """Gone: nothing listens any more. What was kept stays."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self.down()

    def is_let_in(self, login: LoginPassword) -> bool:
        """Whether user and password are right."""
        return self._login == (login.login.decode(), login.password.decode())

    def __enter__(self) -> MailServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler:
    """What aiosmtpd asks at each step."""

    def __init__(self, server: MailServer, now: Callable[[], datetime]) -> None:
        self._server, self._now = server, now
        self._asked: dict[str, datetime] = {}

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and self._server.is_let_in(data)
        return AuthResult(success=is_right, handled=False, message=None if is_right else "535 5.7.8 Wrong password")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        faults = self._server.faults
        if told := faults.refuse.get(address):
            return self._answered(told)
        first = self._asked.setdefault(address, self._now())
        if (self._now() - first).total_seconds() < faults.greylist_seconds:
            return self._answered("451 4.7.1 Greylisted, try again later")
        envelope.rcpt_tos.append(address)
        return self._answered("250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        faults = self._server.faults
        mail = message_from_bytes(envelope.original_content or b"", policy=SMTP_POLICY)
        if faults.drop_before > 0:
            faults.drop_before -= 1
            return self._dropped(server)
        if faults.refuse_data:
            return self._answered(faults.refuse_data)
        if faults.refuse_html and mail.get_body(("html",)) is not None:
            return self._answered(faults.refuse_html)
        self._server.kept.append(Kept(envelope.mail_from or "", tuple(envelope.rcpt_tos), self._now(), mail))
        if faults.slow_seconds:
            await asyncio.sleep(faults.slow_seconds)
        if faults.drop_after > 0:
            faults.drop_after -= 1
            return self._dropped(server)
        return self._answered("250 OK")

    def _answered(self, told: str) -> str:
        self._server.answers[told[:3]] += 1
        return told

    def _dropped(self, server: SMTP) -> str:
        self._server.answers["dropped"] += 1
        if isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "421 4.3.0 Gone"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
