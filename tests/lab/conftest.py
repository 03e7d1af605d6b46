"""Gives the tests of this folder the lab's fixtures, and those that use them the `lab` marker."""

from __future__ import annotations

import pytest

from tests.lab.fixtures import clean_lab, lab, make_lab, mark_lab_tests
from tests.ui.patience import qtbot

__all__ = ["clean_lab", "lab", "make_lab", "qtbot"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before `-m` chooses."""
    mark_lab_tests(items)
