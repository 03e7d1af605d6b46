"""Check boxes, number fields and lists in a dialog's form: what Fusion draws too faintly on a dark ground."""

from __future__ import annotations

from hpconsole.paths import resource
from hpconsole.ui.theme import Theme


def form_style(theme: Theme) -> str:
    """A style sheet for a dialog, beside the program's own."""
    name = "check-ink" if theme.is_dark else "check-white"
    check = resource(f"icons/{name}.svg").as_posix()
    up, down = ("up-white", "down-white") if theme.is_dark else ("up-ink", "down-ink")
    up, down = (resource(f"icons/{arrow}.svg").as_posix() for arrow in (up, down))
    return f"""
    QCheckBox::indicator, QAbstractItemView::indicator {{ width: 13px; height: 13px; border: 1px solid {theme.outline};
        border-radius: 3px; background: {theme.base}; }}
    QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ background: {theme.accent};
        border-color: {theme.accent}; image: url("{check}"); }}
    QCheckBox::indicator:focus {{ border-color: {theme.text}; }}
    QCheckBox::indicator:disabled, QAbstractItemView::indicator:disabled {{ border-color: {theme.border};
        background: {theme.window}; }}
    QCheckBox::indicator:checked:disabled, QAbstractItemView::indicator:checked:disabled {{
        background: {theme.tile_taken}; border-color: {theme.tile_taken}; }}
    QSpinBox {{ background: {theme.base}; border: 1px solid {theme.outline}; border-radius: 4px; padding: 3px 4px; }}
    QSpinBox::up-button, QSpinBox::down-button {{ border: none; background: transparent; width: 16px; }}
    QSpinBox::up-arrow {{ image: url("{up}"); width: 8px; height: 5px; }}
    QSpinBox::down-arrow {{ image: url("{down}"); width: 8px; height: 5px; }}
    QComboBox[editable="true"]::drop-down {{ border: none; background: transparent; width: 16px; }}
    QComboBox[editable="true"]::down-arrow {{ image: url("{down}"); width: 8px; height: 5px; }}
    QSpinBox:focus {{ border-color: {theme.accent}; }}
    QSpinBox:disabled {{ background: {theme.window}; border-color: {theme.border}; color: {theme.muted}; }}
    QComboBox[editable="true"] {{ border: 1px solid {theme.outline}; border-radius: 4px; padding: 2px 4px;
        background: {theme.base}; }}
    QComboBox[editable="true"] QLineEdit {{ border: none; padding: 0; }}
    QComboBox[editable="true"]:disabled {{ background: {theme.window}; border-color: {theme.border};
        color: {theme.muted}; }}
    QLabel[tone="accent"] {{ color: {theme.accent}; }}
    QPlainTextEdit {{ background: {theme.base}; }}
    QPlainTextEdit[form="true"] {{ border: 1px solid {theme.outline}; border-radius: 4px; }}
    QPlainTextEdit[form="true"]:focus {{ border-color: {theme.accent}; }}
    QListWidget {{ background: {theme.base}; border: 1px solid {theme.border}; border-radius: 6px; padding: 3px; }}
    QListWidget::item {{ border-radius: 4px; }}
    QListWidget#boot_order::item {{ padding: 3px 0; }}
    QLineEdit:disabled {{ background: {theme.window}; border-color: {theme.border}; color: {theme.muted}; }}
    """
