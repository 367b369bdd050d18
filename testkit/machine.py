"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

_INSTRUCTIONS: Final = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
}
"""Flags of /proc/cpuinfo that decide how fast a network runs, and in which precision."""


def describe_machine() -> str:
    """Processor, cores, its instructions for networks, memory, kernel and Python of this machine, in a line."""
    facts = _processor_facts()
    processor = facts.get("model name") or platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    flags = facts.get("flags", "").split()
    instructions = [name for flag, name in _INSTRUCTIONS.items() if flag in flags]
    return (
        f"{processor} ({', '.join(instructions) or 'no vector instructions known'}), {os.cpu_count()} CPUs "
        f"({threads_per_core()} a core), {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def threads_per_core() -> int:
    """Hardware threads that share a core; 1 where the kernel does not say."""
    try:
        siblings = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return 1
    # "0,64" or "0-1": a list of numbers and ranges.
    ranges = [part.split("-") for part in siblings.split(",")]
    return sum(int(numbers[-1]) - int(numbers[0]) + 1 for numbers in ranges)


def _processor_facts() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
