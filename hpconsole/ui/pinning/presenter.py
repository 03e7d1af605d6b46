"""Pinning by text and by picture without the window: the texts, the map they mean, what is wrong with them. No Qt.

The texts are the value that is kept (they may be half typed); the picture shows the last map that could be read, and a
gesture on it writes the texts anew. Every gesture can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import NO_PINNING, CpuPinning, CpuPinningPolicy
from hpconsole.core.planning import pinning_text
from hpconsole.ui.pinning import threads as pins
from hpconsole.ui.pinning.board import Board, Neighbour, board, overlaps
from hpconsole.ui.pinning.thread_lines import ThreadLine, lines_of
from hpconsole.ui.pinning.threads import Thread
from hpconsole.ui.undo import Undo


@dataclass(frozen=True, slots=True)
class PinTexts:
    """What is typed. `own` are maps that hold on one host only, by host."""

    vcpus: str = ""
    emulator: str = ""
    iothreads: tuple[tuple[int, str], ...] = ()
    own: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PinningView:
    """Everything the editor shows."""

    texts: PinTexts
    vcpu_text: str  # of the host that is shown
    vcpu_problem: str
    emulator_problem: str
    iothread_problem: str
    lines: tuple[ThreadLine, ...]
    host: str
    hosts: tuple[str, ...]
    has_own_map: bool
    board: Board | None
    remarks: tuple[str, ...]
    is_editable: bool
    why_not: str
    can_undo: bool
    can_redo: bool


@dataclass(slots=True)
class _Facts:
    """What surrounds the map."""

    vcpus: int = 1
    iothread_ids: tuple[int, ...] = ()
    hosts: Mapping[str, Host] = field(default_factory=dict)
    others: Mapping[str, Sequence[Neighbour]] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    home: str = ""
    policy: CpuPinningPolicy = CpuPinningPolicy.MANUAL
    preview: Mapping[str, CpuPinning] = field(default_factory=dict)
    obstacles: Mapping[str, str] = field(default_factory=dict)


class PinningPresenter:
    """The map of one VM."""

    def __init__(self) -> None:
        self._texts = PinTexts()
        self._facts = _Facts()
        self._host = ""
        self._undo: Undo[PinTexts] = Undo()
        self._is_typing = False  # key by key: undone as one
        self._readable: dict[str, CpuPinning] = {}  # by host ("" = all): the last map that could be read
        self._view: PinningView | None = None  # until something changes: asked several times a key
        self._meant: CpuPinning | None = None
        self._lines: tuple[ThreadLine, ...] = ()
        self._drawn: tuple[object, Board | None] = (None, None)

    # What surrounds it

    def set_vm(self, vcpus: int, iothread_ids: Sequence[int], policy: CpuPinningPolicy) -> None:
        """The VM's threads, and where its pinning comes from."""
        known = (max(0, min(vcpus, 4096)), tuple(iothread_ids), policy)
        if known != (self._facts.vcpus, self._facts.iothread_ids, self._facts.policy):
            self._facts.vcpus, self._facts.iothread_ids, self._facts.policy = known
            self._forget()

    def set_hosts(
        self,
        hosts: Mapping[str, Host],
        others: Mapping[str, Sequence[Neighbour]],
        chosen: Sequence[str],
        home: str = "",
    ) -> None:
        """The hosts that may be shown; `chosen` are the VM's Specific Host(s), the first of which is shown first.

        `home` is where the VM is now: a shape that is kept is the one it has there.
        """
        self._facts.hosts = hosts
        self._facts.others = others
        self._facts.chosen = tuple(name for name in chosen if name in hosts)
        self._facts.home = home if home in hosts else ""
        self._forget()
        if self._host not in self.hosts:
            first = self.hosts[0] if self.hosts else ""
            self._host = first if self._facts.chosen else self._facts.home or first

    def set_preview(self, maps: Mapping[str, CpuPinning], obstacles: Mapping[str, str] | None = None) -> None:
        """What a policy that computes its pinning would make of it now, by host; or why it finds nothing there."""
        if (maps, obstacles or {}) != (self._facts.preview, self._facts.obstacles):
            self._facts.preview = dict(maps)
            self._facts.obstacles = dict(obstacles or {})
            self._forget()

    def set_texts(self, texts: PinTexts) -> None:
        """The value changed elsewhere."""
        if texts != self._texts:
            self._texts = texts
            self._readable.clear()
            self._forget()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts to show: the chosen ones, or else all."""
        return self._facts.chosen or tuple(self._facts.hosts)

    @property
    def texts(self) -> PinTexts:
        """The value."""
        return self._texts

    @property
    def threads(self) -> tuple[Thread, ...]:
        """Everything that can be pinned."""
        computed = () if self.is_editable else self._facts.preview.get(self._host, NO_PINNING).vcpus
        return pins.threads_of(max(self._facts.vcpus, len(computed)), self._facts.iothread_ids)

    # What the user does

    def show_host(self, name: str) -> None:
        """Look at this host."""
        if name in self.hosts:
            self._host = name
            self._forget()

    def type_vcpus(self, text: str) -> None:
        """The text of the host that is shown, or of all where it has no map of its own."""
        self._change(self._with_vcpus(text), is_typed=True)

    def type_emulator(self, text: str) -> None:
        """The CPUs of the emulator's threads."""
        self._change(replace(self._texts, emulator=text), is_typed=True)

    def type_iothreads(self, text: str) -> None:
        """The CPUs of the IO threads, in the grammar of the vCPUs' text."""
        try:
            rules = pinning_text.parse(text.strip())
        except InvalidPinning:
            rules = None
        if rules is None:
            self._change(replace(self._texts, iothreads=((-1, text),)), is_typed=True)
        else:
            own = tuple((rule.vcpu_id, rule.cpus.format()) for rule in rules)
            self._change(replace(self._texts, iothreads=own), is_typed=True)

    def pin_one_by_one(self, threads: Sequence[Thread], cpus: Sequence[int]) -> None:
        """The first thread on the first CPU, the second on the second ..."""
        self._draw(pins.one_by_one(self.pinning, threads, cpus))

    def pin_from(self, threads: Sequence[Thread], cpu: int) -> None:
        """Dropped on a CPU: the first thread there, the others on the CPUs that follow in the picture."""
        shown = self._board()
        order = [tile.cpu_id for tile in shown.tiles] if shown is not None else []
        if cpu in order:
            self.pin_one_by_one(threads, order[order.index(cpu) :])

    def pin_together(self, threads: Sequence[Thread], cpus: Sequence[int]) -> None:
        """Each thread on all of the CPUs."""
        self._draw(pins.all_together(self.pinning, threads, cpus))

    def unpin(self, threads: Sequence[Thread]) -> None:
        """Let these threads run anywhere."""
        self._draw(pins.unpinned(self.pinning, threads))

    def clear(self) -> None:
        """Let everything run anywhere, on the host that is shown or on all."""
        self._draw(NO_PINNING)

    def give_own_map(self, is_wanted: bool) -> None:
        """A map for the shown host only, to begin with what it has now; or what all have."""
        own = dict(self._texts.own)
        if is_wanted and self._host:
            own.setdefault(self._host, self._texts.vcpus)
        else:
            own.pop(self._host, None)
        self._change(replace(self._texts, own=tuple(own.items())))

    def undo(self) -> None:
        """Back by one."""
        self._restore(self._undo.back(self._texts))

    def redo(self) -> None:
        """Forth by one."""
        self._restore(self._undo.forth(self._texts))

    def _restore(self, texts: PinTexts | None) -> None:
        if texts is not None:
            self._texts = texts
            self._readable.clear()
            self._forget()

    # What it means

    @property
    def is_editable(self) -> bool:
        """Whether the map that is shown is made by hand."""
        if self._facts.policy is CpuPinningPolicy.KEEP_SHAPE:
            return self._host in (self._facts.home, "") or self._host not in self._facts.preview
        return self._facts.policy is CpuPinningPolicy.MANUAL

    @property
    def has_own_map(self) -> bool:
        """Whether the shown host has a map of its own."""
        return self._host in dict(self._texts.own)

    @property
    def pinning(self) -> CpuPinning:
        """The map that is shown; while a text cannot be read, the last that could."""
        if self._meant is None:
            self._meant = self._read()
        return self._meant

    def _forget(self) -> None:
        """Something changed: what is shown and meant is made out anew."""
        self._view = self._meant = None

    def _read(self) -> CpuPinning:
        if not self.is_editable and self._host in self._facts.preview:
            return self._facts.preview[self._host]
        key = self._host if self.has_own_map else ""
        known = self._readable.get(key, NO_PINNING)
        made = CpuPinning(
            self._vcpu_map(known),
            _one_set(self._texts.emulator, known.emulator),
            tuple((number, cpus) for number, cpus in self._iothread_map(known)),
        )
        self._readable[key] = made
        return made

    def _vcpu_map(self, known: CpuPinning) -> tuple[tuple[int, CpuSet], ...]:
        try:
            rules = pinning_text.as_map(pinning_text.parse(self._vcpu_text()))
        except InvalidPinning:
            return known.vcpus
        by_vcpu = dict(rules)
        return rules if len(by_vcpu) == len(rules) else tuple(by_vcpu.items())

    def _iothread_map(self, known: CpuPinning) -> list[tuple[int, CpuSet]]:
        found = []
        for number, text in self._texts.iothreads:
            cpus = _one_set(text, None)
            if number < 0 or (cpus is None and text.strip()):
                return list(known.iothreads)
            if cpus:
                found.append((number, cpus))
        return found

    def _vcpu_text(self) -> str:
        return dict(self._texts.own).get(self._host, self._texts.vcpus)

    def _with_vcpus(self, text: str) -> PinTexts:
        if not self.has_own_map:
            return replace(self._texts, vcpus=text)
        return replace(self._texts, own=tuple((h, text if h == self._host else t) for h, t in self._texts.own))

    def _draw(self, pinning: CpuPinning) -> None:
        """The picture changed: write the texts anew."""
        if not self.is_editable:
            return
        texts = self._with_vcpus(pinning_text.format_pinning(pinning.vcpus))
        self._change(
            replace(
                texts,
                emulator=pinning.emulator.format() if pinning.emulator else "",
                iothreads=tuple((number, cpus.format()) for number, cpus in pinning.iothreads),
            )
        )

    def _change(self, texts: PinTexts, *, is_typed: bool = False) -> None:
        if texts == self._texts:
            return
        self._undo.leave(self._texts, begins=not (is_typed and self._is_typing))
        self._is_typing = is_typed
        self._texts = texts
        self._forget()

    # What is shown

    def view(self) -> PinningView:
        """Everything; the same value until something changes."""
        if self._view is None:
            self._view = self._look()
        return self._view

    def _look(self) -> PinningView:
        self._lines = lines_of(self.threads, self.pinning, self._lines)
        shown = self._facts.hosts.get(self._host)
        others = self._facts.others.get(self._host, ())
        return PinningView(
            texts=self._texts,
            vcpu_text=self._vcpu_text(),
            vcpu_problem=self._vcpu_problem(),
            emulator_problem=_set_problem(self._texts.emulator),
            iothread_problem=self._iothread_problem(),
            lines=self._lines,
            host=self._host,
            hosts=self.hosts,
            has_own_map=self.has_own_map,
            board=self._board(),
            remarks=overlaps(self.pinning, others, shown) if shown is not None else (),
            is_editable=self.is_editable,
            why_not=self._why_not(),
            can_undo=self._undo.can_undo,
            can_redo=self._undo.can_redo,
        )

    def _board(self) -> Board | None:
        shown = self._facts.hosts.get(self._host)
        others = self._facts.others.get(self._host, ())
        known, drawn = self._drawn
        now = (shown, self.pinning, others)
        if shown is None or now == known:  # while a rule is half typed, the map is what it was
            return drawn if shown is not None else None
        self._drawn = now, board(shown, self.pinning, others)
        return self._drawn[1]

    def _vcpu_problem(self) -> str:
        if not self.is_editable:
            return ""
        try:
            pinning_text.validate(
                self._vcpu_text(),
                policy=CpuPinningPolicy.MANUAL,
                vcpus=self._facts.vcpus,
                chosen_hosts=len(self._facts.chosen) or int(self._facts.policy is CpuPinningPolicy.KEEP_SHAPE),
            )
        except InvalidPinning as error:
            return error.sentence
        return ""

    def _iothread_problem(self) -> str:
        for number, text in self._texts.iothreads:
            if number < 0:
                return "IO threads are pinned as thread#CPUs, joined by “_”: for example 1#0_2#16."
            if number not in self._facts.iothread_ids:
                return f"There is no IO thread {number}: the VM has {_numbered(self._facts.iothread_ids)}."
            if not text or _set_problem(text):
                return _set_problem(text) or f"The pinning leaves IO thread {number} no CPU."
        return ""

    def _why_not(self) -> str:
        if self.is_editable:
            return ""
        if self._facts.policy is CpuPinningPolicy.NONE:
            return "This VM is not pinned. Choose the policy Manual or Keep the shape to pin by hand."
        if self._host not in self._facts.preview and self._host in self._facts.obstacles:
            return f"Nothing is found for it on {self._host} now. {self._facts.obstacles[self._host]}"
        if self._facts.policy is CpuPinningPolicy.KEEP_SHAPE:
            return f"The same shape as it would be on {self._host} now. It is drawn by hand on {self._facts.home}."
        return "This policy computes the CPUs on each host. The picture shows what it would take now."

    @property
    def iothread_text(self) -> str:
        """The IO threads' text as it is typed."""
        return "_".join(text if number < 0 else f"{number}#{text}" for number, text in self._texts.iothreads)


def _one_set(text: str, otherwise: CpuSet | None) -> CpuSet | None:
    if not text.strip():
        return None
    try:
        return CpuSet.parse(text) or None
    except InvalidPinning:
        return otherwise


def _set_problem(text: str) -> str:
    if not text.strip():
        return ""
    try:
        return "" if CpuSet.parse(text) else "This leaves no CPU."
    except InvalidPinning as error:
        return error.sentence


def _numbered(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) if numbers else "none"
