"""Keys that want to be a path, a shell word, a query, a line break: to S3 they are all just keys."""

from __future__ import annotations

import unicodedata
from typing import Final

from stepvec.limits import KEY_BYTES

_LONG: Final = "日" * 400

HOSTILE_KEYS: Final = (
    "names/new\nline.jpg",
    "names/carriage\rreturn.jpg",
    "names/quote'\"`.jpg",
    "names/back\\slash\\..\\..\\x.jpg",
    "names/../../etc/passwd.jpg",
    "../outside.jpg",
    "/leading.jpg",
    "//two.jpg",
    "names//double//slash.jpg",
    "names/./dot.jpg",
    f"names/{_LONG[: (KEY_BYTES - 10) // 3]}.jpg",
    "names/Case.jpg",
    "names/case.jpg",
    f"names/{unicodedata.normalize('NFC', 'é')}.jpg",
    f"names/{unicodedata.normalize('NFD', 'é')}.jpg",
    "names/$(touch stepvec-was-here).jpg",
    "names/`touch stepvec-was-here`.jpg",
    "names/; touch stepvec-was-here ;.jpg",
    "names/| tee &.jpg",
    "names/-rf.jpg",
    "names/--help.jpg",
    "names/'; DROP TABLE vectors; --.jpg",
    "names/%s%n%d{0}{key!r}${KEY}.jpg",
    "names/{{7*7}}{% raw %}.jpg",
    "names/<script>alert(1)</script>.jpg",
    "names/</script><img src=x onerror=alert(1)>.jpg",
    "names/[bold red]markup[/].jpg",
    "names/\x1b[31mescape\x1b[0m.jpg",
    "names/right-to-left-\u202egpj.exe.jpg",
    "names/zero\u200bwidth\ufeff.jpg",
    "names/line\u2028separator.jpg",
    "names/next\x85line.jpg",
    "names/emoji-😀.jpg",
    "names/a=b&c=d?e#f+g%20%2e%2e%2f.jpg",
    "names/con.jpg",
    "names/ leading and trailing .jpg",
    "names/=cmd|' /C calc'!A0.jpg",
    "names/tab\there.jpg",
)
"""Every one is a JPEG's, and gets a row of its own."""


def hostile_keys() -> tuple[str, ...]:
    """HOSTILE_KEYS, and one that fills all bytes that a key may have."""
    prefix, suffix = "names/", ".jpg"
    room = KEY_BYTES - len(prefix) - len(suffix)
    return (*HOSTILE_KEYS, prefix + "é" * (room // 2) + suffix)
