"""Tables for the terminal and for the documents in docs/, with the machine that they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
PERFORMANCE: Final = DOCS / "performance.md"
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


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def write_section(name: str, text: str, document: Path = PERFORMANCE) -> None:
    """Put `text` between the marks of section `name` in `document`, with the machine and the day."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = document.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise ValueError(f"{document} has no section {begin} ... {end}")
    measured = f"Measured {datetime.now(UTC):%Y-%m-%d} on {describe_machine()}."
    before, rest = content.split(begin, 1)
    after = rest.split(end, 1)[1]
    document.write_text(f"{before}{begin}\n{text}\n\n{measured}\n{end}{after}", encoding="utf-8")


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
