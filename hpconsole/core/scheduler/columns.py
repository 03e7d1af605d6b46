"""All hosts of a cluster as columns of numbers, so that a unit answers for every host in a few array operations.

Row h of everything is the h-th host in the order of names. Sets of words (CPU flags, networks ...) are kept as codes
into the list of different values: a thousand hosts of one model are one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hpconsole.core.scheduler.account import HostAccount

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Builder = Callable[[Sequence[HostAccount]], Array]
Value = TypeVar("Value", bound=Hashable)

# Every numeric field of an account is one column; unknown is NaN.
NUMBERS = (
    "is_candidate", "sockets", "cores", "threads", "threads_per_core", "exclusive_cores", "has_topology", "cpu_pct",
    "shared_usage_pct", "overloaded_since_s", "shared_vm_cores", "pending_shared_cores", "shared_vcpus",
    "pending_load_pct", "memory_kib", "reserved_kib", "committed_kib", "pending_overcommit_kib", "pending_static_kib",
    "overcommit_pct", "memory_free_kib", "swap_total_kib", "swap_free_kib", "supports_numa", "vm_count",
    "pending_vm_count", "ha_vm_count", "is_manager", "tsc_frequency_hz", "has_tsc_scaling", "has_passthrough",
    "libvirt_version", "hypervisor_version", "shared_cpus", "exclusive_cpus", "node_count",
)  # fmt: skip
CODED = (
    "features", "usable_models", "machine_types", "networks", "bridges", "pci", "mediated", "labels", "os_release",
    "hostname", "uuid", "arch", "cpu_model", "layout",
)  # fmt: skip
_NUMBER_INDEX = {name: index for index, name in enumerate(NUMBERS)}
_numbers_of: Callable[[HostAccount], tuple[Any, ...]] = attrgetter(*NUMBERS)


class CodedColumn(Generic[Value]):
    """A value for each host, stored as a code into the different values."""

    __slots__ = ("_known", "codes", "values")

    def __init__(self, values: Iterable[Value]) -> None:
        self.values: list[Value] = []
        self._known: dict[Value, int] = {}
        self.codes = np.fromiter((self._code(value) for value in values), np.int64)

    def _code(self, value: Value) -> int:
        code = self._known.get(value)
        if code is None:
            code = self._known[value] = len(self.values)
            self.values.append(value)
        return code

    def test(self, claim: Callable[[Value], bool]) -> Bools:
        """Whether the claim holds for each host; it is asked once for each different value."""
        verdicts = np.fromiter((claim(value) for value in self.values), np.bool_, len(self.values))
        answers: Bools = verdicts[self.codes]
        return answers

    def equals(self, value: Value) -> Bools:
        """Where the value is this one."""
        same: Bools = self.codes == self._known.get(value, -1)
        return same

    def replaced(self, rows: Sequence[int], values: Iterable[Value]) -> CodedColumn[Value]:
        """A copy with other values in these rows."""
        copy = CodedColumn[Value](())
        copy.values, copy._known = list(self.values), dict(self._known)
        copy.codes = self.codes.copy()
        copy.codes[rows] = [copy._code(value) for value in values]
        if len(copy.values) > 2 * copy.codes.size + 64:  # values that no host has any more
            return CodedColumn(copy.values[code] for code in copy.codes.tolist())
        return copy

    def take(self, rows: Ints) -> CodedColumn[Value]:
        """Only these rows."""
        part = CodedColumn[Value](())
        part.values, part._known, part.codes = self.values, self._known, self.codes[rows]
        return part


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide the arrays of a cluster are, so that all of them stay as wide as each other."""

    nodes: int = 1
    sockets: int = 1
    cores: int = 1  # of one socket
    bits: int = 1  # highest CPU number + 1

    @classmethod
    def of(cls, accounts: Sequence[HostAccount]) -> Widths:
        """What these hosts need."""
        shapes = [_sockets_and_cores(tuple(node.core_sockets for node in account.nodes)) for account in accounts]
        return cls(
            nodes=max([1, *(len(account.nodes) for account in accounts)]),
            sockets=max([1, *(sockets for sockets, _ in shapes)]),
            cores=max([1, *(cores for _, cores in shapes)]),
            bits=max([1, *(account.online_bits.bit_length() for account in accounts)]),
        )

    def holds(self, other: Widths) -> bool:
        """Whether arrays of this width have room for the other."""
        return (
            self.nodes >= other.nodes
            and self.sockets >= other.sockets
            and self.cores >= other.cores
            and self.bits >= other.bits
        )


@lru_cache(maxsize=256)
def _sockets_and_cores(core_sockets: tuple[tuple[int, ...], ...]) -> tuple[int, int]:
    """(sockets, cores of the largest) of the sockets of all cores, node by node."""
    count = Counter(socket for node in core_sockets for socket in node)
    return len(count), max(count.values(), default=0)


class HostColumns:
    """The accounts of all hosts, as columns. Never changed after it is made; safe to read from any thread."""

    def __init__(self, accounts: Sequence[HostAccount]) -> None:
        self.__dict__["accounts"] = accounts
        self.numbers: Floats = _numbers(accounts)
        self.widths = Widths.of(accounts)
        self._coded: dict[str, CodedColumn[Any]] = {}
        self._arrays: dict[str, tuple[Builder, Array]] = {}
        self._whole: tuple[HostColumns, Ints] | None = None  # what this is a part of, and which rows

    def __len__(self) -> int:
        return int(self.numbers.shape[1])

    @cached_property
    def accounts(self) -> Sequence[HostAccount]:
        """The books of each host, row by row."""
        whole, rows = self._whole or (self, np.zeros(0, np.int64))
        return [whole.accounts[row] for row in rows.tolist()]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Host names, row by row."""
        if self._whole is not None:
            whole, rows = self._whole
            return tuple(map(whole.names.__getitem__, rows.tolist()))
        return tuple(account.name for account in self.accounts)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Host name -> row."""
        return {name: row for row, name in enumerate(self.names)}

    def number(self, name: str) -> Floats:
        """A numeric column (see NUMBERS); NaN = unknown."""
        column: Floats = self.numbers[_NUMBER_INDEX[name]]
        return column

    def flag(self, name: str) -> Bools:
        """A yes/no column."""
        yes: Bools = self.number(name) == 1
        return yes

    def coded(self, name: str) -> CodedColumn[Any]:
        """A column of words or sets (see CODED)."""
        column = self._coded.get(name)
        if column is None:
            if self._whole is not None:
                column = self._whole[0].coded(name).take(self._whole[1])
            else:
                column = CodedColumn(getattr(account, name) for account in self.accounts)
            self._coded[name] = column
        return column

    def array(self, key: str, build: Builder) -> Array:
        """Any other array with one row per host, built from accounts when first asked for, then kept.

        All its other dimensions must come from `widths`, so that single rows can be replaced later.
        """
        known = self._arrays.get(key)
        if known is None:
            if self._whole is not None:
                known = (build, self._whole[0].array(key, build)[self._whole[1]])
            else:
                known = (build, build(self.accounts))
            self._arrays[key] = known
        return known[1]

    def rows(self, names: Iterable[str]) -> Bools:
        """True for the hosts of these names."""
        if self._whole is not None:
            whole, rows = self._whole
            among: Bools = whole.rows(names)[rows]
            return among
        mask = np.zeros(len(self), np.bool_)
        for name in names:
            row = self.row_of.get(name)
            if row is not None:
                mask[row] = True
        return mask

    def all(self, value: bool = True) -> Bools:
        """The same answer for every host, to be changed as the caller likes."""
        same: Bools = (self._yes if value else self._no).copy()
        return same

    @cached_property
    def _yes(self) -> Bools:
        return np.ones(len(self), np.bool_)

    @cached_property
    def _no(self) -> Bools:
        return np.zeros(len(self), np.bool_)

    @cached_property
    def is_topology_known(self) -> Bools:
        """Where sockets, cores and threads are told. Not to be changed."""
        known = self.all()
        for name in ("sockets", "cores", "threads"):
            known &= self.number(name) > 0
        return known

    def take(self, rows: Ints) -> HostColumns:
        """Only these rows, in this order."""
        part = HostColumns.__new__(HostColumns)
        part.numbers = self.numbers[:, rows]
        part.widths = self.widths
        part._coded, part._arrays, part._whole = {}, {}, (self, rows)
        return part

    def replaced(self, changed: Mapping[int, HostAccount]) -> HostColumns:
        """With other accounts in these rows; the names must be the same. Costs little more than copying the arrays."""
        if not changed:
            return self
        rows, accounts = list(changed), list(changed.values())
        copy = HostColumns.__new__(HostColumns)
        together = list(self.accounts)
        for row, account in changed.items():
            together[row] = account
        copy.__dict__["accounts"] = together
        copy.numbers = self.numbers.copy()
        copy.numbers[:, rows] = _numbers(accounts)
        copy._coded = {
            name: column.replaced(rows, [getattr(account, name) for account in accounts])
            for name, column in self._coded.items()
        }
        copy._arrays, copy._whole = {}, None
        if self.widths.holds(Widths.of(accounts)):
            copy.widths = self.widths
            for key, (build, array) in self._arrays.items():
                patched = array.copy()
                patched[rows] = build(accounts)
                copy._arrays[key] = (build, patched)
        else:
            copy.widths = Widths.of(together)
        copy.__dict__["names"], copy.__dict__["row_of"] = self.names, self.row_of
        return copy

    @cached_property
    def scheduling_kib(self) -> Floats:
        """What may still be promised: max(0, max(0, overcommit x physical - committed - reserved) - pending)."""
        allowed = self.number("overcommit_pct") * self.number("memory_kib") / 100
        left = np.maximum(0, allowed - self.number("committed_kib") - self.number("reserved_kib"))
        return np.maximum(0, known(left - self.number("pending_overcommit_kib")))

    def free_pages(self, size_kib: int) -> Floats:
        """Free huge pages of this size in the whole host, promises subtracted; 0 where it has none of that size."""

        def build(accounts: Sequence[HostAccount]) -> Array:
            counts = [next((count for size, count in one.pages if size == size_kib), 0) for one in accounts]
            return np.array(counts, np.float64)

        return self.array(f"pages {size_kib}", build)


def known(column: Floats, otherwise: float = 0.0) -> Floats:
    """The column with another value where it is unknown."""
    return np.where(np.isnan(column), otherwise, column)


def _numbers(accounts: Sequence[HostAccount]) -> Floats:
    rows = np.array([_numbers_of(account) for account in accounts], np.float64)
    return np.ascontiguousarray(rows.reshape(len(accounts), len(NUMBERS)).T)


def words(masks: Sequence[int], width: int = 0) -> NDArray[np.uint64]:
    """Bit masks as rows of 64-bit words: as many as the widest mask needs, or for `width` bits."""
    count = max([1, -(-width // 64), *(-(-mask.bit_length() // 64) for mask in masks)])
    raw = b"".join(mask.to_bytes(count * 8, "little") for mask in masks)
    return np.frombuffer(raw, np.dtype("<u8")).reshape(len(masks), count)
