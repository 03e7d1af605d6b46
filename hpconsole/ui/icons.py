"""Our own line icons, tinted with the theme's colours and kept once drawn. GUI thread only."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from hpconsole.paths import resource

_SIZES = (16, 32)


@lru_cache(maxsize=512)
def pixmap(name: str, color: str, size: int = 16) -> QPixmap:
    """The icon `name` in this colour (#rrggbb), `size` pixels square.

    Raises:
        OSError: there is no such icon; a test asks for every name in use.
    """
    svg = resource(f"icons/{name}.svg").read_text(encoding="utf-8").replace("currentColor", color)
    drawn = QPixmap(size, size)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return drawn


@lru_cache(maxsize=512)
def icon(name: str, color: str, faded: str = "") -> QIcon:
    """The icon `name` for widgets; `faded` is its colour where the widget is disabled."""
    made = QIcon()
    for size in _SIZES:
        made.addPixmap(pixmap(name, color, size))
        if faded:
            made.addPixmap(pixmap(name, faded, size), QIcon.Mode.Disabled)
    return made
