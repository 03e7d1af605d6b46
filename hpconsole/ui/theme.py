"""Light and dark: two palettes on Fusion that follow the system, or what the View menu says.

Every pair of text and ground used in the window is in `Theme`, and `tests/ui/test_theme.py` checks their contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from hpconsole.ui.tone import Tone


class ThemeChoice(StrEnum):
    """What the user wants."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as #rrggbb."""

    is_dark: bool
    window: str  # behind panels, toolbars and dialogs
    base: str  # behind tables and text fields
    stripe: str  # every other row
    header: str
    border: str  # hairlines
    outline: str  # of buttons and fields: told from their ground at a glance
    button: str
    text: str
    muted: str
    good: str
    warning: str
    bad: str
    accent: str
    on_accent: str  # text on the accent colour
    selection: str  # behind selected rows; every tone stays readable on it
    hover: str
    bar: str  # behind a load bar
    bar_fill: str
    tile_free: str  # a CPU nobody is pinned to
    tile_taken: str  # hatching of a CPU that others are pinned to
    curves: tuple[str, ...]  # one after the other, distinguishable for most colour-blind people

    def color(self, tone: Tone) -> QColor:
        """The colour of a tone."""
        return QColor(getattr(self, tone.value))


LIGHT = Theme(
    is_dark=False,
    window="#f3f5f8",
    base="#ffffff",
    stripe="#f8fafc",
    header="#eef1f5",
    border="#d5dbe3",
    outline="#8592a5",
    button="#ffffff",
    text="#1b2330",
    muted="#556173",
    good="#14713f",
    warning="#8a5a00",
    bad="#b3261e",
    accent="#1a62c7",
    on_accent="#ffffff",
    selection="#d8e7fb",
    hover="#eaf1fb",
    bar="#e4e9f0",
    bar_fill="#3f7fd6",
    tile_free="#e9edf3",
    tile_taken="#7b889a",
    curves=(
        "#1a62c7", "#c2410c", "#14713f", "#8b3fb0", "#0e7490", "#b3261e", "#8a6d00", "#c02672",
        "#4b5bd1", "#5d7a1f", "#0b7d6c", "#945a2f", "#5f6b7a", "#7a4fd0", "#a14a5b", "#2f6f9f",
    ),
)  # fmt: skip

DARK = Theme(
    is_dark=True,
    window="#1d2128",
    base="#171a20",
    stripe="#1b1f26",
    header="#232831",
    border="#343b47",
    outline="#76849b",
    button="#2a303a",
    text="#e3e7ed",
    muted="#a0abba",
    good="#56c98d",
    warning="#e0b04a",
    bad="#ff8a80",
    accent="#78b0ff",
    on_accent="#0d1a2d",
    selection="#26405f",
    hover="#222a35",
    bar="#2c333e",
    bar_fill="#4f87cf",
    tile_free="#2b323d",
    tile_taken="#76849b",
    curves=(
        "#78b0ff", "#ff9d66", "#56c98d", "#d49bff", "#4fc6e0", "#ff8a80", "#e0c04a", "#ff8fc4",
        "#9aa8ff", "#b5d46b", "#45d1b8", "#dfae82", "#b3bdca", "#b79bff", "#f0a0b0", "#8cc4ee",
    ),
)  # fmt: skip


def palette_of(theme: Theme) -> QPalette:
    """The QPalette that makes Fusion wear this theme."""
    role = QPalette.ColorRole
    palette = QPalette()
    for a_role, color in (
        (role.Window, theme.window), (role.WindowText, theme.text), (role.Base, theme.base),
        (role.AlternateBase, theme.stripe), (role.Text, theme.text), (role.Button, theme.button),
        (role.ButtonText, theme.text), (role.BrightText, theme.bad), (role.ToolTipBase, theme.header),
        (role.ToolTipText, theme.text), (role.PlaceholderText, theme.muted), (role.Highlight, theme.accent),
        (role.HighlightedText, theme.on_accent), (role.Link, theme.accent), (role.LinkVisited, theme.accent),
        (role.Accent, theme.accent), (role.Mid, theme.border), (role.Midlight, theme.header),
        (role.Light, theme.base), (role.Dark, theme.border), (role.Shadow, theme.border),
    ):  # fmt: skip
        palette.setColor(a_role, QColor(color))
    faded = QColor(theme.muted)
    faded.setAlpha(150)
    for a_role in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, a_role, faded)
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(theme.border))
    return palette


def style_sheet(theme: Theme) -> str:
    """The few things a palette cannot say: flat headers, hairlines, calm selection."""
    return f"""
    QToolTip {{ background: {theme.header}; color: {theme.text}; border: 1px solid {theme.border}; padding: 4px; }}
    QAbstractItemView {{ border: none; outline: none; selection-background-color: {theme.selection};
        selection-color: {theme.text}; }}
    QTableView::item, QTreeView::item {{ padding: 0 6px; border: none; }}
    QAbstractItemView::item:selected {{ background: {theme.selection}; }}
    QMenu {{ background: {theme.base}; border: 1px solid {theme.outline}; padding: 4px; }}
    QMenu::item {{ padding: 4px 22px 4px 8px; border-radius: 3px; }}
    QMenu::icon {{ padding-left: 6px; }}
    QMenu::icon:checked {{ background: {theme.selection}; border: 1px solid {theme.accent}; border-radius: 3px; }}
    QMenu::item:selected {{ background: {theme.selection}; color: {theme.text}; }}
    QMenu::item:disabled {{ color: {theme.tile_taken}; }}
    QMenu::separator {{ height: 1px; background: {theme.border}; margin: 4px 6px; }}
    QFrame[panel="true"] {{ background: {theme.base}; border: 1px solid {theme.border}; border-radius: 6px; }}
    QHeaderView {{ background: {theme.header}; border: none; }}
    QHeaderView::section {{ background: {theme.header}; color: {theme.muted}; border: none;
        border-bottom: 1px solid {theme.border}; padding: 4px 8px; }}
    QHeaderView::up-arrow, QHeaderView::down-arrow {{ subcontrol-position: top center; width: 8px; height: 8px; }}
    QToolBar {{ border: none; border-bottom: 1px solid {theme.border}; padding: 4px 6px; spacing: 4px; }}
    QStatusBar {{ border-top: 1px solid {theme.border}; }}
    QStatusBar::item {{ border: none; }}
    QMainWindow::separator {{ background: {theme.border}; width: 1px; height: 1px; }}
    QSplitter::handle {{ background: transparent; }}
    QDockWidget {{ color: {theme.muted}; }}
    QProgressBar[thin="true"] {{ background: {theme.bar}; border: none; border-radius: 3px; }}
    QProgressBar[thin="true"]::chunk {{ background: {theme.bar_fill}; border-radius: 3px; }}
    QScrollArea, QScrollArea > QWidget > QWidget#plain {{ background: transparent; }}
    QLineEdit {{ background: {theme.base}; border: 1px solid {theme.outline}; border-radius: 4px; padding: 3px 4px; }}
    QLineEdit:focus {{ border-color: {theme.accent}; }}
    QPushButton {{ background: {theme.button}; border: 1px solid {theme.outline}; border-radius: 4px;
        padding: 4px 14px; }}
    QPushButton:hover, QPushButton:focus {{ border-color: {theme.accent}; }}
    QPushButton:pressed {{ background: {theme.selection}; }}
    QPushButton:default {{ background: {theme.accent}; border-color: {theme.accent}; color: {theme.on_accent}; }}
    QPushButton:default:focus {{ border: 2px solid {theme.text}; padding: 3px 13px; }}
    QPushButton:disabled {{ background: {theme.window}; border-color: {theme.border}; color: {theme.tile_taken}; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QRadioButton::indicator {{ width: 12px; height: 12px; border: 1px solid {theme.outline}; border-radius: 7px;
        background: {theme.base}; }}
    QRadioButton::indicator:checked {{ width: 6px; height: 6px; border: 4px solid {theme.accent}; }}
    QRadioButton::indicator:focus {{ border-color: {theme.text}; }}
    QScrollBar {{ background: transparent; border: none; margin: 0; }}
    QScrollBar:vertical {{ width: 11px; }}
    QScrollBar:horizontal {{ height: 11px; }}
    QScrollBar::handle {{ background: {theme.border}; border-radius: 4px; margin: 2px; }}
    QScrollBar::handle:vertical {{ min-height: 28px; }}
    QScrollBar::handle:horizontal {{ min-width: 28px; }}
    QScrollBar::handle:hover {{ background: {theme.tile_taken}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QLabel[tone="muted"] {{ color: {theme.muted}; }}
    QLabel[tone="good"] {{ color: {theme.good}; }}
    QLabel[tone="warning"] {{ color: {theme.warning}; }}
    QLabel[tone="bad"] {{ color: {theme.bad}; }}
    """


_HALF = 128  # of a colour's lightness, 0-255


class ThemeKeeper(QObject):
    """Applies the theme that is wanted, and again when the system's or the choice changes."""

    changed = Signal(object)  # Theme

    def __init__(self, application: QApplication, choice: ThemeChoice = ThemeChoice.SYSTEM) -> None:
        super().__init__(application)
        self._application = application
        self._choice = choice
        self.theme = LIGHT
        style = QStyleFactory.create("Fusion")
        if style is not None:
            application.setStyle(style)
        application.styleHints().colorSchemeChanged.connect(self._on_system_changed)
        self._apply()

    @property
    def choice(self) -> ThemeChoice:
        """What the user wants."""
        return self._choice

    def choose(self, choice: ThemeChoice) -> None:
        """Wear this from now on."""
        self._choice = choice
        self._apply()

    def _on_system_changed(self) -> None:
        if self._choice is ThemeChoice.SYSTEM:
            self._apply()

    def _apply(self) -> None:
        # setColorScheme() has no effect without a desktop theme (Qt 6.11 under plain xcb), so it is not relied on.
        # The style's own palette follows the system; asking for Qt.ColorScheme would make PySide build the whole `Qt`
        # namespace, 50 ms before the first paint.
        system_is_dark = self._application.style().standardPalette().window().color().lightness() < _HALF
        is_dark = system_is_dark if self._choice is ThemeChoice.SYSTEM else self._choice is ThemeChoice.DARK
        self.theme = DARK if is_dark else LIGHT
        self._application.setPalette(palette_of(self.theme))
        self._application.setStyleSheet(style_sheet(self.theme))
        self.changed.emit(self.theme)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours, 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(color[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
