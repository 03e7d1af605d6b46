"""Where the sockets, nodes, dies and tiles of a board stand, in pixels: as large as the room allows. No Qt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from hpconsole.ui.pinning.board import Board, Die, Node, Socket, Tile

LARGEST, SMALLEST = 84, 15
_READABLE = 22  # numbers of three digits
_THREAD_GAP = 2
_CORE_GAP = 5
_PADDING = 7
_NODE_GAP = 8
_SOCKET_GAP = 10
_COLUMNS = (2, 4, 6, 8, 12, 16, 24, 32, 64)


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether this point is in it."""
        return self.left <= x < self.left + self.width and self.top <= y < self.top + self.height

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Everything in its place. `tiles` are in the order of `Board.tiles`."""

    width: float
    height: float
    tile: int
    sockets: tuple[tuple[Box, Socket], ...]
    nodes: tuple[tuple[Box, Node], ...]
    dies: tuple[tuple[Box, Die], ...]
    tiles: tuple[tuple[Box, Tile], ...]

    def tile_at(self, x: float, y: float) -> Tile | None:
        """The CPU under a point."""
        return next((tile for box, tile in self.tiles if box.holds(x, y)), None)


class _Shape(NamedTuple):
    """How much stands side by side."""

    tile: int
    core_columns: int
    node_columns: int
    socket_columns: int


def arrange(board: Board, width: float, height: float, line: float) -> Arrangement:
    """The board in a room of this size; where it cannot fit at the smallest size, higher than the room.

    Args:
        line: The height of a line of text.
    """
    sockets, most_nodes, most_cores = _extent(board)
    best: tuple[float, _Shape] | None = None
    for tile in range(LARGEST, SMALLEST - 1, -1):
        for shape in _shapes(tile, sockets, most_nodes, most_cores):
            wide, high = _size(board, shape, line)
            if wide > width:
                continue
            if high <= height:
                return _placed(board, shape, line)
            if tile == _READABLE and (best is None or high < best[0]):
                best = high, shape
    if best is not None:  # it scrolls: then at a size at which numbers can be read
        return _placed(board, best[1], line)
    return _placed(board, _Shape(SMALLEST, max(1, int(width // (SMALLEST + _CORE_GAP)) - 2), 1, 1), line)


def _extent(board: Board) -> tuple[int, int, int]:
    nodes = [node for socket in board.sockets for node in socket.nodes]
    return (
        len(board.sockets),
        max((len(socket.nodes) for socket in board.sockets), default=1),
        max((len(die.cores) for node in nodes for die in node.dies), default=1),
    )


def _shapes(tile: int, sockets: int, nodes: int, cores: int) -> Iterator[_Shape]:
    columns = [count for count in _COLUMNS if count < cores] + [cores]
    columns.sort(key=lambda count: abs(count - 8))
    for socket_columns in range(sockets, 0, -1):
        for node_columns in range(nodes, 0, -1):
            for core_columns in columns:
                yield _Shape(tile, core_columns, node_columns, socket_columns)


def _die_size(die: Die, shape: _Shape, line: float) -> tuple[float, float]:
    columns = min(shape.core_columns, max(1, len(die.cores)))
    rows = ceil(len(die.cores) / columns)
    threads = max((len(core) for core in die.cores), default=1)
    core_height = threads * (shape.tile + _THREAD_GAP) - _THREAD_GAP
    title = line if die.title else 0.0
    return columns * (shape.tile + _CORE_GAP) - _CORE_GAP, title + rows * (core_height + _CORE_GAP) - _CORE_GAP


def _node_size(node: Node, shape: _Shape, line: float) -> tuple[float, float]:
    dies = [_die_size(die, shape, line) for die in node.dies]
    width = max((w for w, _ in dies), default=0.0)
    height = sum(h for _, h in dies) + _CORE_GAP * max(0, len(dies) - 1)
    titles = line * 0.5 * (len(node.title) + len(node.memory) + 3)
    return max(width, titles) + 2 * _PADDING, line + 6 + height + _PADDING


def _grid(sizes: Sequence[tuple[float, float]], columns: int, gap: float) -> tuple[float, float]:
    """The size of equal cells in a grid."""
    if not sizes:
        return 0.0, 0.0
    columns = min(columns, len(sizes))
    wide, high = max(w for w, _ in sizes), max(h for _, h in sizes)
    rows = ceil(len(sizes) / columns)
    return columns * (wide + gap) - gap, rows * (high + gap) - gap


def _socket_size(socket: Socket, shape: _Shape, line: float) -> tuple[float, float]:
    width, height = _grid([_node_size(node, shape, line) for node in socket.nodes], shape.node_columns, _NODE_GAP)
    return width + 2 * _PADDING, line + 4 + height + _PADDING


def _size(board: Board, shape: _Shape, line: float) -> tuple[float, float]:
    return _grid([_socket_size(socket, shape, line) for socket in board.sockets], shape.socket_columns, _SOCKET_GAP)


class _Placer:
    """Collects the boxes."""

    def __init__(self, shape: _Shape, line: float) -> None:
        self.shape, self.line = shape, line
        self.sockets: list[tuple[Box, Socket]] = []
        self.nodes: list[tuple[Box, Node]] = []
        self.dies: list[tuple[Box, Die]] = []
        self.tiles: list[tuple[Box, Tile]] = []

    def board(self, board: Board) -> None:
        sizes = [_socket_size(socket, self.shape, self.line) for socket in board.sockets]
        for (x, y), size, socket in zip(
            _corners(sizes, self.shape.socket_columns, _SOCKET_GAP), sizes, board.sockets, strict=True
        ):
            self.sockets.append((Box(x, y, *size), socket))
            self._socket(socket, x + _PADDING, y + self.line + 4)

    def _socket(self, socket: Socket, left: float, top: float) -> None:
        sizes = [_node_size(node, self.shape, self.line) for node in socket.nodes]
        widest, highest = max(w for w, _ in sizes), max(h for _, h in sizes)
        for (x, y), node in zip(_corners(sizes, self.shape.node_columns, _NODE_GAP), socket.nodes, strict=True):
            self.nodes.append((Box(left + x, top + y, widest, highest), node))
            below = top + y + self.line + 6
            for die in node.dies:
                self._die(die, left + x + _PADDING, below)
                below += _die_size(die, self.shape, self.line)[1] + _CORE_GAP

    def _die(self, die: Die, left: float, top: float) -> None:
        tile = self.shape.tile
        self.dies.append((Box(left, top, *_die_size(die, self.shape, self.line)), die))
        top += self.line if die.title else 0
        columns = min(self.shape.core_columns, max(1, len(die.cores)))
        core_height = max((len(core) for core in die.cores), default=1) * (tile + _THREAD_GAP) - _THREAD_GAP
        for place, core in enumerate(die.cores):
            row, column = divmod(place, columns)
            x, y = left + column * (tile + _CORE_GAP), top + row * (core_height + _CORE_GAP)
            self.tiles += [
                (Box(x, y + thread * (tile + _THREAD_GAP), tile, tile), cpu) for thread, cpu in enumerate(core)
            ]


def _corners(sizes: Sequence[tuple[float, float]], columns: int, gap: float) -> Iterator[tuple[float, float]]:
    if not sizes:
        return
    columns = min(columns, len(sizes))
    wide, high = max(w for w, _ in sizes), max(h for _, h in sizes)
    for place in range(len(sizes)):
        row, column = divmod(place, columns)
        yield column * (wide + gap), row * (high + gap)


def _placed(board: Board, shape: _Shape, line: float) -> Arrangement:
    placer = _Placer(shape, line)
    placer.board(board)
    width, height = _size(board, shape, line)
    return Arrangement(
        width,
        height,
        shape.tile,
        tuple(placer.sockets),
        tuple(placer.nodes),
        tuple(placer.dies),
        tuple(placer.tiles),
    )
