"""The columns of the table of *Maintenance host(s)*. No Qt."""

from __future__ import annotations

from hpconsole.ui import format as fmt
from hpconsole.ui.maintenance.presenter import ItemRow
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column

COLUMNS: tuple[Column[ItemRow], ...] = (
    Column("#", lambda r: r.place, lambda r: str(r.place), align=Align.RIGHT, width=46, tone=lambda _: Tone.MUTED),
    Column("VM", lambda r: fmt.natural(r.item.vm_name), lambda r: r.item.vm_name, width=150),
    Column("From", lambda r: fmt.natural(r.item.source), lambda r: r.item.source, width=80),
    Column("What happens", lambda r: r.action[0], lambda r: r.action[0], tone=lambda r: r.action[1], width=122,
           is_toned_when_selected=True),
    Column("To", lambda r: fmt.natural(r.destination), lambda r: r.destination, width=100),
    Column("Wave", lambda r: r.item.wave or None, lambda r: str(r.item.wave or ""), align=Align.RIGHT, width=62,
           tooltip=lambda _: "VMs of one wave may move at the same time"),
    Column("Performance", lambda r: r.performance[0], lambda r: r.performance[0],
           tone=lambda r: r.performance[1], width=126, is_toned_when_selected=True),
    Column("Takes about", lambda r: r.took, lambda r: r.took, width=186),
    Column("Now", lambda r: r.state, lambda r: r.state, tone=lambda r: r.state_tone, width=120,
           is_toned_when_selected=True),
)  # fmt: skip
