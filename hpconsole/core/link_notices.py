"""Says when a host is lost and when it is back; a host that never answered says so in its row of the window."""

from __future__ import annotations

from collections.abc import Callable

from hpconsole.core.model.host import HostLink, LinkState


class LinkNotices:
    """Called with each change of a connection, on whichever thread sees it, one host's changes in order.

    Args:
        notify: Told severity, sentence and host.
    """

    def __init__(self, notify: Callable[[str, str, str], None]) -> None:
        self._notify = notify
        self._links: dict[str, LinkState] = {}

    def __call__(self, name: str, link: HostLink) -> None:
        """The connection of the host of this name is now in this state."""
        before = self._links.get(name)
        self._links[name] = link.state
        if link.state in (before, LinkState.CONNECTING):
            # on the way back: what it was before is what the next state is compared with
            self._links[name] = before or link.state
        elif link.state is not LinkState.CONNECTED and before is LinkState.CONNECTED:
            self._notify("info", f"{name} is {link.state.value}. {link.problem}".strip(), name)
        elif link.state is LinkState.CONNECTED and before not in (None, LinkState.CONNECTING):
            self._notify("info", f"{name} answers again.", name)
