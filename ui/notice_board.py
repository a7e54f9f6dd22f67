"""Which notice is shown, of those that there are.

Thread: GUI.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from PyQt6.QtCore import QSettings

from realtime.messages import SessionState
from ui.present.notices import Notice, gravest_first
from ui.present.words import PRIVACY

_PRIVACY_SEEN: Final = "privacy_seen"


class NoticeBoard:
    """What an action told, what is wrong now, and what of it was dismissed."""

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings
        self._told: Notice | None = None  # by an action, until dismissed
        self._is_partial = False  # what was told is over once the analysis is
        self._dismissed: set[Notice] = set()
        self._privacy_seen = bool(settings.value(_PRIVACY_SEEN, False, type=bool))

    def clear(self) -> None:
        """Begin anew with another session."""
        self._dismissed.clear()
        self.retract()

    def tell(self, notice: Notice, *, partial: bool = False) -> None:
        """Keep what an action tells; `partial`: of an analysis, until that has come to its end."""
        self._told, self._is_partial = notice, partial

    def retract(self) -> None:
        """Forget what an action told."""
        self._told, self._is_partial = None, False

    def dismiss(self, notice: Notice) -> None:
        """Show this notice no more; one about what is wrong comes back when that happens again."""
        if notice == self._told:
            self.retract()
        elif notice.text == PRIVACY:
            self._privacy_seen = True
            self._settings.setValue(_PRIVACY_SEEN, True)
        else:
            self._dismissed.add(notice)

    def choose(self, found: Collection[Notice], state: SessionState) -> Notice | None:
        """What to show while `found` is wrong in a session of this state."""
        self._dismissed.intersection_update(found)  # what went away may be told again
        if state is SessionState.ENDED and self._is_partial:
            self.retract()
        told = [] if self._told is None else [self._told]
        waiting = gravest_first([*told, *(each for each in found if each not in self._dismissed)])
        if waiting:
            return waiting[0]
        is_loading = state is SessionState.LOADING  # whose card says it as well
        # Once answers are written, "nothing is stored" would be untrue, even if that was dismissed.
        return None if is_loading or found or self._privacy_seen else Notice(text=PRIVACY)
