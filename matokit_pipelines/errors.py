"""What a person may be told: each error is one sentence (what failed, where, what to do) and an exit code.

Not here: tracebacks and logging; the command line prints `str(error)` and exits with `error.exit_code`.
"""

from __future__ import annotations

FINE = 0
DEFECT = 1
USAGE = 2
REFUSED = 3
INCOMPLETE = 4
CHECK_FAILED = 5


class MatokitError(Exception):
    """Base of every error a person may see."""

    exit_code = DEFECT


class SettingsError(MatokitError):
    """Settings or arguments are wrong; nothing was read or written."""

    exit_code = USAGE


class SourceError(MatokitError):
    """A source refused, or could not be reached or understood."""

    exit_code = REFUSED


class CredentialsRefused(SourceError):
    """The source does not accept the credentials. Never retried: about 20 such attempts lock an address out."""


class AccessRefused(SourceError):
    """The credentials are good, but not for this site."""


class NothingAllowed(AccessRefused):
    """The credentials are good, but for no site at all."""


class LockedOut(SourceError):
    """The source answers nobody from this address for a while."""


class SourceMissing(SourceError):
    """The source has no such site, dimension or method."""


class SourceUnavailable(SourceError):
    """The source cannot answer now; a later pass may succeed."""


class SourceUnreachable(SourceUnavailable):
    """There is no connection to the source, or it was lost."""


class AnswerUnreadable(SourceUnavailable):
    """The source answers, but time and again not in its documented format; it may be half an answer or a page."""


class SourceBusy(SourceUnavailable):
    """The source answers 429 (too many requests). `retry_after`: seconds it asks to wait, None when it does not say."""

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class RequestsSpent(SourceError):
    """One pass made all the requests it may make; what it read is kept and the next pass goes on."""


class PageTooLarge(SourceError):
    """The source cannot build a page of this size; a smaller one may succeed."""


class SourceTimedOut(PageTooLarge):
    """The source did not answer in time."""


class AnswerNotUnderstood(SourceError):
    """The source answered something else than documented."""


class SourceAnswered(SourceError):
    """The source answered with an HTTP status that stands for no answer. `status`: which."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class ReportRefused(SourceError):
    """The source understood the question and says no: no such site, period, segment, plugin or method.

    `said`: its own words as plain text, in the language of the token's owner; "" when it gave none. `code`: its number
    of the error, None when it gave none.
    """

    def __init__(self, sentence: str, said: str = "", code: int | None = None) -> None:
        super().__init__(sentence)
        self.said = said
        self.code = code


class WarehouseError(MatokitError):
    """The warehouse on disk cannot be used."""

    exit_code = REFUSED


class WarehouseLocked(WarehouseError):
    """Another process writes to the warehouse."""


class WarehouseDamaged(WarehouseError):
    """The warehouse file is not what it should be."""


class DiskFull(WarehouseError):
    """The disk takes no more."""


class NothingPublished(WarehouseError):
    """There is no snapshot to read yet."""


class ServicesError(MatokitError):
    """The processes of `up` cannot be started: another one holds this home, or Dagster's files cannot be used."""

    exit_code = REFUSED


class StateError(MatokitError):
    """The store of alerts and deliveries cannot be used."""

    exit_code = REFUSED


class DataIncomplete(MatokitError):
    """Everything ran, but the data are known to have a hole."""

    exit_code = INCOMPLETE


class SnapshotDamaged(WarehouseError):
    """The published snapshot is not what it should be; the warehouse still is."""


class CheckFailed(MatokitError):
    """A blocking check on the data failed; the last good snapshot stays in service."""

    exit_code = CHECK_FAILED
