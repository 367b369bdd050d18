"""Text of others, such as keys, as it is safe to show in a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with what would move the cursor, or turn the line around, written as an escape."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
