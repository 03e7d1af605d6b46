"""The hosts of the Migrate dialog as a table: suitable ones in rank order, the others greyed with their reasons."""

from __future__ import annotations

from hpconsole.ui import format as fmt
from hpconsole.ui.migrate.view import HostLine, VmLine
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.table_model import TableModel


def _tone(line: HostLine) -> Tone:
    return Tone.NORMAL if line.is_suitable else Tone.MUTED


def _mark(line: HostLine) -> tuple[str, Tone]:
    if not line.is_known:
        return "ring", Tone.MUTED
    if line.is_destination:
        return "best", Tone.ACCENT
    return ("good", Tone.GOOD) if line.is_suitable else ("bad", Tone.MUTED)


def _score_text(line: HostLine) -> str:
    if line.is_suitable:
        return fmt.number(line.score)
    return fmt.count(len(line.refusals), "reason") if line.is_known else ""


def _verdict_tip(line: HostLine) -> str:
    reasons = [refusal.sentence for refusal in line.refusals]
    return "\n".join([*reasons, line.will_help] if reasons else [line.verdict])


def _memory_share(line: HostLine) -> float | None:
    if line.memory_free_kib is None or not line.memory_kib:
        return None
    return 1 - line.memory_free_kib / line.memory_kib


COLUMNS: tuple[Column[HostLine], ...] = (
    Column("#", lambda r: r.rank, lambda r: "" if r.rank is None else str(r.rank), align=Align.RIGHT, tone=_tone,
           width=40),
    Column("Host", lambda r: fmt.natural(r.name), lambda r: r.name, icon=_mark, tone=_tone, width=150,
           tooltip=lambda r: "VMs would go here now" if r.is_destination else ""),
    Column("Points", lambda r: r.score if r.is_suitable else None,
           _score_text, align=Align.RIGHT, tone=_tone, width=100),
    Column("CPU load", lambda r: r.cpu_pct, lambda r: fmt.pct(r.cpu_pct), align=Align.RIGHT, tone=_tone, width=140,
           share=lambda r: None if r.cpu_pct is None else r.cpu_pct / 100, is_live=True),
    Column("Memory free", lambda r: r.memory_free_kib, lambda r: fmt.kib(r.memory_free_kib), align=Align.RIGHT,
           tone=_tone, width=110, is_live=True),
    Column("How it compares, or what stands against it", lambda r: r.verdict, lambda r: r.verdict,
           tooltip=_verdict_tip, tone=_tone, width=240),
)  # fmt: skip


def _to(line: VmLine) -> str:
    if line.destination:
        return line.destination
    return (line.remark if line.remark == "already there" else "stays") if line.remark else fmt.UNKNOWN


VM_COLUMNS: tuple[Column[VmLine], ...] = (
    Column("VM", lambda r: fmt.natural(r.name), lambda r: r.name, width=130),
    Column("From", lambda r: fmt.natural(r.source), lambda r: r.source, tone=lambda _: Tone.MUTED, width=90),
    Column(
        "To", lambda r: fmt.natural(r.destination), _to,
        tone=lambda r: Tone.NORMAL if r.destination else Tone.WARNING, tooltip=lambda r: r.remark, width=120,
    ),
)  # fmt: skip


def candidates_model() -> TableModel[HostLine]:
    """A model of hosts."""
    return TableModel(COLUMNS, lambda line: line.name)


def vms_model() -> TableModel[VmLine]:
    """A model of the VMs that move."""
    return TableModel(VM_COLUMNS, lambda line: line.uuid)
