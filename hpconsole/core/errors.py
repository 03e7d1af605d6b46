"""Every error the core raises, as one tree.

HpconsoleError                      carries a sentence for the user
  + HypervisorError                 raised only by core.hypervisor, always `from` the library's error
  |   + HostUnreachable             no connection could be opened, or the host did not answer in time
  |   + AuthenticationFailed        the host refused these credentials
  |   + ConnectionLost              the connection broke while a call was under way
  |   + OperationRefused            the hypervisor answered no; `code` is libvirt's VIR_ERR_* number
  |   + VmNotFound                  the host knows no such VM
  |   + UriRefused                  a connection URI that hpconsole does not open
  + InvalidXml                      a document that cannot be read; nothing was changed
  + PlanningError                   nothing was changed
  |   + NoSuitableHost              every host refuses; `ranking` says why (core.scheduler)
  |   + PlanOutOfDate               the cluster changed since the plan was made
  |   + InvalidEdit                 a value a VM cannot have; `field` names it
  |   + InvalidPinning              a pinning text or map that cannot be meant
  + ExecutionError                  something may have changed; the sentence says what
  |   + StepFailed                  a step other than a migration failed
  + StorageError                    the console's own database; the console goes on without it
  + ScenarioError                   a saved snapshot or policy file that cannot be used
"""

from __future__ import annotations


class HpconsoleError(Exception):
    """An error with a sentence for the user.

    Args:
        sentence: What happened, in what state things are now, what to do. Plain text.
        detail: The library's own words, for the log and the details pane.
        subject: The host or VM it is about.
    """

    def __init__(self, sentence: str, *, detail: str = "", subject: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail
        self.subject = subject


class HypervisorError(HpconsoleError):
    """A host's hypervisor did not do what was asked."""


class HostUnreachable(HypervisorError):
    """No connection could be opened, or the host did not answer within the deadline."""


class AuthenticationFailed(HypervisorError):
    """The host refused the credentials."""


class ConnectionLost(HypervisorError):
    """The connection broke while a call was under way; whether it took effect is unknown."""


class OperationRefused(HypervisorError):
    """The hypervisor answered no.

    Args:
        code: libvirt's error number (VIR_ERR_*), 0 where there is none.
    """

    def __init__(self, sentence: str, *, code: int = 0, detail: str = "", subject: str = "") -> None:
        super().__init__(sentence, detail=detail, subject=subject)
        self.code = code


class VmNotFound(HypervisorError):
    """The host knows no VM of this UUID."""


class UriRefused(HypervisorError):
    """A connection URI that would run a local program, skip verification, or is not understood."""


class InvalidXml(HpconsoleError):
    """A document that is no well-formed XML, is too large, or holds entities."""


class PlanningError(HpconsoleError):
    """What was asked cannot be planned; nothing was changed."""


class PlanOutOfDate(PlanningError):
    """The cluster changed since the plan was made, in a way that matters to it."""


class PlanRefused(PlanningError):
    """The checks before it speak against a plan; nothing was changed."""


class InvalidEdit(PlanningError):
    """A value a VM cannot have."""

    def __init__(self, field: str, sentence: str, *, subject: str = "") -> None:
        super().__init__(sentence, subject=subject)
        self.field = field


class InvalidPinning(PlanningError):
    """A CPU set, pinning text or map that cannot be meant. `kind` is the reference's message key, if any."""

    def __init__(self, sentence: str, *, kind: str = "", vcpu_id: int | None = None) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.vcpu_id = vcpu_id


class ExecutionError(HpconsoleError):
    """A step did not end as planned; the sentence says what is true now."""


class StepFailed(ExecutionError):
    """A step other than a migration failed."""


class StorageError(HpconsoleError):
    """The console's own database cannot be used; the console works without it."""


class ScenarioError(HpconsoleError):
    """A saved snapshot or policy file that cannot be read."""
