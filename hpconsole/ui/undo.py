"""The way back and forth through what was edited. Knows neither Qt nor what a value is."""

from __future__ import annotations

from typing import Generic, TypeVar

_Value = TypeVar("_Value")
_MOST_STEPS = 300


class Undo(Generic[_Value]):
    """What was before the present value, which its owner holds, and what was taken back."""

    def __init__(self) -> None:
        self._past: list[_Value] = []
        self._future: list[_Value] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a way back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back and can be done again."""
        return bool(self._future)

    def leave(self, present: _Value, *, begins: bool = True) -> None:
        """The present value is about to be replaced. `begins` False: by more of the same, such as the next letter."""
        if begins or not self._past:
            self._past.append(present)
            del self._past[:-_MOST_STEPS]
        self._future.clear()

    def back(self, present: _Value) -> _Value | None:
        """The value before the present one; None if there is none."""
        if not self._past:
            return None
        self._future.append(present)
        return self._past.pop()

    def forth(self, present: _Value) -> _Value | None:
        """The value that was taken back last; None if there is none."""
        if not self._future:
            return None
        self._past.append(present)
        return self._future.pop()

    def forget(self) -> None:
        """No way back or forth from here."""
        self._past.clear()
        self._future.clear()
