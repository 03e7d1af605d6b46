"""What the exit codes mean; documented in docs/command-line.md and `hpconsole --help`."""

from __future__ import annotations

from enum import IntEnum

from hpconsole.core import errors


class UsageError(errors.HpconsoleError):
    """Words of the command line that name nothing."""


class ExitCode(IntEnum):
    """Stable: scripts rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_SUITABLE_HOST = 3
    UNREACHABLE = 4
    CANCELLED = 5
    INTERRUPTED = 130

    @classmethod
    def of(cls, error: errors.HpconsoleError) -> ExitCode:
        """The code that says what kind of error this is."""
        if isinstance(error, errors.UriRefused | errors.ScenarioError | UsageError):
            return cls.USAGE
        if isinstance(error, errors.InvalidEdit | errors.InvalidPinning | errors.InvalidXml):
            return cls.USAGE
        if isinstance(error, errors.PlanningError):
            return cls.NO_SUITABLE_HOST
        if isinstance(error, errors.HostUnreachable | errors.ConnectionLost | errors.AuthenticationFailed):
            return cls.UNREACHABLE
        return cls.FAILED
