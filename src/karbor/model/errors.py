"""Every error that Karbor raises on purpose, by what the one who reads it has to do about it.

A message says what was tried, on which resource, why it failed and what to do.
"""

from __future__ import annotations


class KarborError(Exception):
    """Base of all errors that are meant for people."""


class Invalid(KarborError):
    """The request itself is wrong (unknown type, option, id); nothing was changed."""


class NotFound(KarborError):
    """Something that was named does not exist, or not for this project."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        """For a person at a terminal: the command that shows what there is."""


class Forbidden(KarborError):
    """What was asked for is another project's, or beyond the caller's roles."""


class Conflict(KarborError):
    """Somebody else has changed the same thing in the same moment, and was first; look at it again."""


class QuotaExceeded(KarborError):
    """The project has as many of Karbor's own things as it may have; delete some, or ask for a higher quota."""


class Ambiguous(Invalid):
    """A name fits more than one thing; the message lists their ids."""


class FormatTooNew(KarborError):
    """Data was written by a newer version of Karbor than this one."""


class GraphCycle(Invalid):
    """Resources need one another in a circle; the message names it."""


class BankError(KarborError):
    """A bank could not do what it was asked."""


class BankUnreadable(BankError):
    """The bank cannot be opened or listed."""


class BankFull(BankError):
    """The bank has no room for what was to be put."""


class BankCorrupt(BankError):
    """What lies in the bank is not what was put there."""


class NoSuchObject(BankError):
    """The key has no object."""


class CloudError(KarborError):
    """A cloud refused or failed. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Gone(CloudError):
    """404: the object does not exist, or not for this project."""


class Refused(CloudError):
    """400, 403, 405, 406, 409, 413 and the like: the cloud will not do this as things stand."""


class OverQuota(Refused):
    """A quota of the project is full."""


class NotNow(Refused):
    """The cloud refuses only as long as something else is under way or still there; ask again later."""


class Unclear(CloudError):
    """No answer, or 5xx, or 429: the call may or may not have been carried out."""


class Unauthorized(CloudError):
    """401: the credentials are wrong or have run out."""


class Failed(KarborError):
    """An object that was made went into a failed state. `id` is its id, `reason` the cloud's own word."""

    def __init__(self, message: str, id: str, reason: str) -> None:
        super().__init__(message)
        self.id = id
        self.reason = reason


class DeadlineExceeded(KarborError):
    """A wait showed no progress for longer than its deadline."""


class Blocked(KarborError):
    """Something that a restore needs is missing in the target; known before anything is made."""


class Deferred(KarborError):
    """A deletion has to wait for something else to go first; it is taken up again by itself."""


class Cancelled(KarborError):
    """The operation was cancelled by a person."""


class Fenced(BaseException):
    """Another engine has taken this operation over: stop at once, write nothing.

    A BaseException, so that no hook that catches its own errors can go on by mistake.
    """


class Suspended(BaseException):
    """The operation has to stop where it is and can go on later: its credential has run out, or this engine leaves.

    A BaseException for the same reason as `Fenced`. `status` is what the operation's row says from now on, empty for
    what it says already.
    """

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status
