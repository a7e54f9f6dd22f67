"""Where a text without spaces, as a file's name, may go on in another line.

Thread: any.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final
from unicodedata import category

_BREAK: Final = "\u200b"  # a space of no width
_AFTER: Final = "_-./\\"
_LONGEST: Final = 20  # characters without a break


def breakable(text: str) -> str:
    """`text` as it is to be shown, no more: with places to break its long words at.

    Qt breaks lines between words only, and cuts off a word that is longer than a line.
    """
    return re.sub(rf"\S{{{_LONGEST + 1},}}", lambda word: _broken(word[0]), text)


def _broken(word: str) -> str:
    parts, length = [word[0]], 1
    for before, char in pairwise(word):
        joined = category(char).startswith("M")  # an accent of the character before it
        if not joined and (length >= _LONGEST or (before in _AFTER and char not in _AFTER)):
            parts.append(_BREAK)
            length = 0
        parts.append(char)
        length += 1
    return "".join(parts)
