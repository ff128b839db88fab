"""How a program of the serving package ends: in words on standard error, and with a code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sluice.errors import IntegrityError, SluiceError

REFUSED, FAILED = 3, 1
"""Exit codes: the version is not what digest or signature say; anything else that keeps a program from its work."""


def exit_code(run: Callable[[], None], *, refused: int = FAILED) -> int:
    """Run it; 0, or the code of what went wrong, which is told.

    Args:
        refused: the code for a version that is not what it should be, where a caller wants to know.
    """
    try:
        run()
    except IntegrityError as error:
        print(error, file=sys.stderr)
        return refused
    except (SluiceError, OSError) as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0
