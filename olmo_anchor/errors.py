"""The two ways in which a command ends badly, each with its exit code."""

from __future__ import annotations

__all__ = ["AnchorError", "InputError", "WorkFailed"]


class AnchorError(Exception):
    """Shown to the user as one line, without a traceback."""

    exit_code = 1


class InputError(AnchorError):
    """The call or the input is wrong; nothing was written. Says what, where, and the cure."""

    exit_code = 2


class WorkFailed(AnchorError):
    """The work failed; what was done is kept and can be resumed."""

    exit_code = 1
