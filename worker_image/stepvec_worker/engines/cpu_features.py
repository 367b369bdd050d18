"""Which instructions this processor has, by Linux's names of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stepvec.rows.model import Precision

CPUINFO: Final = Path("/proc/cpuinfo")

INSTRUCTIONS: Final[dict[Precision, tuple[str, ...]]] = {
    "float32": (),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "int8": ("avx512_vnni", "avx_vnni", "amx_int8"),
}
"""Any one of them makes a precision faster than float32 (arch/x86/include/asm/cpufeatures.h has the names)."""


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The flags of the first processor in `cpuinfo`; none where it cannot be read."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def is_supported(precision: Precision, flags: frozenset[str]) -> bool:
    """Whether a processor of these `flags` has instructions for `precision`."""
    wanted = INSTRUCTIONS[precision]
    return not wanted or not flags.isdisjoint(wanted)
