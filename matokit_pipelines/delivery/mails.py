"""A message as a mail: headers, text, HTML with its pictures inside. Not here: sending it (email.py).

A mail has the same Message-ID each time it is made, so that a reader who gets it twice sees it once. Threads go by
In-Reply-To and References (RFC 5322, 3.6.4); Auto-Submitted (RFC 3834) keeps others from answering by machine.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import css_inline

from matokit_pipelines.delivery.escaping import header, plain
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.operators import GROUP, is_for_operators
from matokit_pipelines.delivery.transport import Parcel

NAME = "matokit"
# The style tags stay beside what is inlined: colours for the dark live in a media query. Nothing is ever fetched.
_INLINER = css_inline.CSSInliner(keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False)


def message_id(message_key: str, sender: str) -> str:
    """The Message-ID of a message key, always the same."""
    digest = hashlib.sha256(message_key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"<{digest}@{sender.rpartition('@')[2] or 'localhost'}>"


def list_id(conversation: str, sender: str) -> str:
    """What filters of mail programs go by (RFC 2919): one list for each report, for alerts and for the operators."""
    first, _, rest = conversation.partition(":")
    kind = rest.partition(":")[0] if first == "report" else GROUP if is_for_operators(conversation) else "alerts"
    return f"{NAME} {kind} <{kind}.{NAME}.{sender.rpartition('@')[2] or 'localhost'}>"


def mail_of(parcel: Parcel, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The whole mail of a parcel to a group of recipients."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(NAME, addr_spec=sender)
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = header(parcel.message.subject) or NAME
    mail["Date"] = format_datetime(parcel.since.astimezone(UTC))  # a digest is put in days before it is due
    mail["Message-ID"] = message_id(parcel.message_key, sender)
    if parcel.root is not None:
        first = message_id(parcel.root.message_key, sender)
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail["List-Id"] = list_id(parcel.conversation, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(plain(parcel.message.text))
    if parcel.message.html is not None and not parcel.is_plain:
        _add_html(mail, parcel.message, parcel.message.html)
    return mail


def _add_html(mail: EmailMessage, message: Message, html: str) -> None:
    mail.add_alternative(inlined(html), subtype="html")
    [_, shown] = mail.iter_parts()
    for image in message.images:
        name = header(image.name)
        shown.add_related(image.png, "image", "png", cid=f"<{name}>", filename=name, disposition="inline")


def inlined(html: str) -> str:
    """HTML with its styles in the elements, as most mail readers want it; as it was where it cannot be done."""
    try:
        return _INLINER.inline(html)
    except (css_inline.InlineError, ValueError):
        return html
