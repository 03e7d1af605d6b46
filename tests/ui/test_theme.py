"""Texts can be read in both themes, and what is named exists."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication

from hpconsole.paths import resource
from hpconsole.ui import format as fmt
from hpconsole.ui import icons
from hpconsole.ui.main_window import vm_rows
from hpconsole.ui.theme import DARK, LIGHT, Theme, ThemeChoice, ThemeKeeper, contrast
from hpconsole.ui.tone import Tone

SOURCES = sorted((Path(icons.__file__).parent).rglob("*.py"))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["window", "base", "stripe", "header", "selection", "hover"])
@pytest.mark.parametrize("tone", list(Tone), ids=str)
def test_every_text_can_be_read_on_every_ground(theme: Theme, ground: str, tone: Tone) -> None:
    assert contrast(getattr(theme, tone.value), getattr(theme, ground)) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_stand_out(theme: Theme) -> None:
    assert contrast(theme.on_accent, theme.accent) >= 4.5
    assert contrast(theme.bar_fill, theme.bar) >= 3
    assert contrast(theme.accent, theme.tile_free) >= 3
    assert contrast(theme.outline, theme.window) >= 2.5
    assert contrast(theme.tile_taken, theme.tile_free) >= 2.5
    for curve in theme.curves:
        assert contrast(curve, theme.base) >= 4.5
    assert len(set(theme.curves)) == 16


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_choice_is_worn_at_once(qapp: QApplication) -> None:
    keeper = ThemeKeeper(qapp, ThemeChoice.DARK)
    assert qapp.palette().color(QPalette.ColorRole.Base).name() == DARK.base
    worn: list[Theme] = []
    keeper.changed.connect(worn.append)
    keeper.choose(ThemeChoice.LIGHT)
    assert qapp.palette().color(QPalette.ColorRole.Base).name() == LIGHT.base
    assert worn == [LIGHT]


def test_every_icon_that_is_named_exists(qapp: QApplication) -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    named = {path.stem for path in resource("icons").glob("*.svg")}
    for name in named - {"hpconsole"}:
        assert re.search(rf'"{name}"', text), f"nobody uses the icon {name}"
        assert not icons.pixmap(name, "#123456", 32).isNull()
    asked = re.findall(r'icons\.(?:icon|pixmap)\(\s*"([a-z-]+)"', text)
    assert asked
    assert set(asked) <= named


def test_an_icon_that_does_not_exist_is_an_error(qapp: QApplication) -> None:
    with pytest.raises(OSError, match="nothing"):
        icons.pixmap("nothing", "#000000")


@pytest.mark.parametrize("module", [fmt, vm_rows], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: object) -> None:
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS)  # type: ignore[arg-type]
    assert outcome.attempted
    assert not outcome.failed
