"""Keeps decoders' own words out of the worker's log.

libtiff prints to standard error, past Python's warnings and logging, two lines for each tag that it finds odd. A
crafted file of 48 KB makes 1.1 MB of log so: whoever may upload images could fill the log, at its price.
"""

from __future__ import annotations

import ctypes
from typing import Final

from PIL import _imaging

_HANDLER_SETTERS: Final = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")
"""https://libtiff.gitlab.io/libtiff/functions/TIFFError.html: NULL means that nothing is printed."""


def silence_libtiff() -> bool:
    """Tell the libtiff that Pillow links to print nothing. What Pillow raises stays the same.

    Returns False where there is none to be found: Pillow built without it, or with it linked statically.
    """
    # Symbols are looked up in the module and in what it links, which is the very copy of libtiff that it calls.
    library = ctypes.CDLL(_imaging.__file__)
    try:
        setters = [getattr(library, name) for name in _HANDLER_SETTERS]
    except AttributeError:
        return False
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
        setter(None)
    return True
