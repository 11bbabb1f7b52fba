"""Regular expressions on SQLite, which has Python look at each text: by RE2, in a time that grows with the text alone.

Python's own `re` goes back and tries again, for hours where somebody wants that, and holds all other threads meanwhile.
"""

from __future__ import annotations

import re2

_FARTHEST = 4096
"""Characters of a text that are searched at most."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # whoever sent it is told


def compiled(expression: str) -> re2._Regexp:
    """The expression, ready to be looked for. Raises re2.error."""
    return re2.compile(expression, _OPTIONS)


def fits(expression: str, text: str | None) -> bool | None:
    """What SQLite calls for `text REGEXP expression`."""
    return None if text is None else compiled(expression).search(text[:_FARTHEST]) is not None
