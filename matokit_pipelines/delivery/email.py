"""Mail by SMTP: one row a group of recipients, each taken or refused by the server. Not here: the mail (mails.py).

A mail cannot be looked for: one whose outcome is not known is sent again under the same Message-ID. A ref is JSON:
`{"got": [addresses], "refused": {address: what the server said}}`.
"""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address

from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.delivery.mails import mail_of
from matokit_pipelines.delivery.transport import (
    AFTER_A_TIME_OUT,
    Delivered,
    Later,
    Lost,
    Outcome,
    Parcel,
    Plainly,
    Refused,
)
from matokit_pipelines.delivery_settings import SmtpSettings

Replies = Mapping[str, tuple[int, bytes]]
# Servers that take nothing from strangers at first want a few minutes between two tries.
GREYLISTED = 120.0
_NO_SENDER = "smtp.sender is no address such as matokit@example.org; correct it"
_NOT_ASKED = (421, b"the server ended the talk before")


@dataclass
class _Memory:
    """Who of the group got it, and who never will."""

    got: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, ref: str | None) -> _Memory:
        try:
            found = json.loads(ref or "{}")
            return cls(list(found.get("got", [])), dict(found.get("refused", {})))
        except (ValueError, AttributeError, TypeError):
            return cls()

    @property
    def ref(self) -> str:
        return json.dumps({"got": self.got, "refused": self.refused}, ensure_ascii=False)


class Mail(Plainly):
    """One group of recipients."""

    service = "email"

    def __init__(self, recipients: tuple[str, ...], settings: SmtpSettings, password: str | None) -> None:
        self._recipients = recipients
        self._settings = settings
        self._password = password
        # greeting, EHLO, STARTTLS, EHLO, log-in in two steps; then MAIL, an RCPT for each, DATA, its end
        self.longest = settings.timeout * (6 + len(recipients))

    def send(self, parcel: Parcel) -> Outcome:
        """Send it to those of the group who have not got it yet."""
        memory = _Memory.of(parcel.ref)
        left = tuple(name for name in self._recipients if name not in memory.got)
        if not left:
            return Delivered(memory.ref)
        try:
            mail = mail_of(parcel, self._settings.sender, self._recipients)
        except (ValueError, IndexError, MessageError):
            return Later(_NO_SENDER, answered=False, is_down=True)
        server: smtplib.SMTP | None = None
        try:
            server = self._connected()
            if not parcel.still_ours():
                return Lost()
            refused: Replies = server.send_message(mail, from_addr=self._settings.sender, to_addrs=list(left))
        except smtplib.SMTPRecipientsRefused as error:  # nobody got it, also those who were not asked for any more
            refused = {name: error.recipients.get(name, _NOT_ASKED) for name in left}
        except smtplib.SMTPResponseException as error:
            return self._answered(error)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return self._broken(error)
        finally:
            _leave(server)
        return _settled(memory, left, refused)

    def check(self) -> str | None:
        """Connect, encrypt and log in, sending nothing: what stands against it, None when nothing does."""
        server: smtplib.SMTP | None = None
        try:
            Address(addr_spec=self._settings.sender)
        except (ValueError, IndexError, MessageError):
            return _NO_SENDER
        try:
            server = self._connected()
            server.noop()
        except smtplib.SMTPResponseException as error:
            ended = self._answered(error)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            ended = self._broken(error)
        else:
            return None
        finally:
            _leave(server)
        return ended.why if isinstance(ended, Later | Refused) else "it is not known why"

    def _connected(self) -> smtplib.SMTP:
        """A server that has let us in, over the encryption that the settings ask for."""
        settings = self._settings
        name = _own_name()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, local_hostname=name, timeout=settings.timeout, context=self._trust()
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, local_hostname=name, timeout=settings.timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._trust())
            if settings.username:
                server.login(settings.username, self._password or "")
        except BaseException:
            server.close()
            raise
        return server

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._settings.ca_file:
            context.load_verify_locations(self._settings.ca_file)
        return context

    def _answered(self, error: smtplib.SMTPResponseException) -> Outcome:
        """What a refusal of the whole mail means."""
        told = f"{error.smtp_code} {_shown(error.smtp_error)}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return Later(f"the mail server does not accept smtp.username and MATOKIT_SMTP_PASSWORD ({told})")
        if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError) or error.smtp_code < 500:
            return Later(f"the mail server put it off ({told})")
        if isinstance(error, smtplib.SMTPSenderRefused):
            return Later(f"the mail server does not take mail from smtp.sender ({told})")
        return Refused(f"the mail server refused it ({told})", content=isinstance(error, smtplib.SMTPDataError))

    def _broken(self, error: Exception) -> Outcome:
        """What the loss of the connection means."""
        where = f"the mail server {self._settings.host}:{self._settings.port}"
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Later(
                f"{where} cannot do what is asked of it ({_shown(error)}); see smtp.security and smtp.username"
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return Later(f"{where} shows a certificate that is not trusted; name its authority in smtp.ca_file",
                         answered=False, is_down=True)  # fmt: skip
        if isinstance(error, ssl.SSLError):
            return Later(f"{where} does not speak the encryption of smtp.security", answered=False, is_down=True)
        if isinstance(error, FileNotFoundError | PermissionError):
            return Later("the file of smtp.ca_file cannot be read; correct it", answered=False, is_down=True)
        # smtplib tells of a wait that ended while it reads as of a lost connection
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return Later(
                f"{where} did not answer in time", AFTER_A_TIME_OUT, certain=False, answered=False, is_down=True
            )
        if isinstance(error, ConnectionRefusedError | socket.gaierror):
            return Later(f"{where} cannot be reached", answered=False, is_down=True)
        if isinstance(error, smtplib.SMTPException | OSError):
            return Later(f"the connection to {where} was lost", certain=False, answered=False, is_down=True)
        return Refused(f"it cannot be made into a mail ({_shown(error)})", content=True)


def _settled(memory: _Memory, asked: tuple[str, ...], refused: Replies) -> Outcome:
    """How it ended for each recipient: taken, refused for now, refused for ever."""
    memory.got += [name for name in asked if name not in refused]
    for_now = {name: reply for name, reply in refused.items() if reply[0] < 500}
    memory.refused = {name: f"{code} {_shown(said)}" for name, (code, said) in refused.items() if code >= 500}
    never = "; ".join(f"{name}: {said}" for name, said in memory.refused.items())
    if for_now:
        told = "; ".join(f"{name}: {code} {_shown(said)}" for name, (code, said) in for_now.items())
        return Later(f"the mail server put some off ({told})", wait=GREYLISTED, ref=memory.ref)
    if never and not memory.got:
        return Refused(f"the mail server takes mail for none of them ({never})", content=False, ref=memory.ref)
    return Delivered(memory.ref, f"not delivered to {never}" if never else None)


def _leave(server: smtplib.SMTP | None) -> None:
    """End the talk; what goes wrong now changes nothing about the mail."""
    if server is not None:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _shown(said: bytes | str | Exception) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return cut(one_line(text), 160)


def _own_name() -> str:
    """What we call ourselves; the lookup of a full name may hang where the name service is broken."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
