"""The figures of the worker and its peers as tables, and as the line that a person looks for."""

from __future__ import annotations

from collections.abc import Mapping

from bench.figures import Figures
from bench.limits import Limit
from testkit.tables import markdown_table


def speed_table(
    found: Mapping[str, Figures], reference: str, vcpus: int, limits: Mapping[str, Limit] | None = None
) -> str:
    """Speed, CPU and memory of each contender; the ratio is of images/s to those of `reference`.

    A contender's share of the limit is what decoding and the network cost alone of what an image costs it in CPU. A
    peer, which computes in float32, is held against the least of the float32 limits in `limits`.
    """
    least = min((limit.sum_ms for name, limit in (limits or {}).items() if "float32" in name), default=0.0)
    head = [
        "",
        "images/s",
        f"x {reference}",
        "CPU ms/image",
        "share of the limit",
        "images/s with start-up",
        "CPU ms/image with start-up",
        "peak RSS, MB",
        "a vCPU, MB",
        "PSS, MB",
        "storage, CPU ms/image",
    ]
    rows = [
        [
            name,
            f"{each.images_per_second:.1f}",
            f"{each.images_per_second / found[reference].images_per_second:.2f}",
            f"{each.cpu_ms:.1f}",
            f"{(limits[name].sum_ms if limits and name in limits else least) / each.cpu_ms:.2f}",
            f"{each.whole_images_per_second:.1f}",
            f"{each.whole_cpu_ms:.1f}",
            f"{each.peak_mb:.0f}",
            f"{each.peak_mb / vcpus:.0f}",
            f"{each.shared_peak_mb:.0f}",
            f"{each.storage_cpu_ms:.2f}" if each.storage_cpu_ms else "",
        ]
        for name, each in found.items()
    ]
    return markdown_table(head, rows)


def efficiency_table(found: Mapping[str, Figures], limits: Mapping[str, Limit], crowded: Mapping[str, Limit]) -> str:
    """What an image costs at the least, and what it costs in the whole worker.

    `crowded` are the limits with a process on each vCPU: what the cores cost each other by sharing caches and memory.
    """
    head = ["CPU ms/image", "decode alone", "network alone", "both, every vCPU busy", "whole worker", "efficiency"]
    rows = [
        [
            name,
            f"{limit.decode_ms:.2f}",
            f"{limit.model_ms:.2f}",
            f"{crowded[name].sum_ms:.2f}",
            f"{found[name].cpu_ms:.2f}",
            f"{limit.sum_ms / found[name].cpu_ms:.2f}",
        ]
        for name, limit in limits.items()
    ]
    return markdown_table(head, rows)


def final_line(
    found: Mapping[str, Figures],
    labels: Mapping[str, str],
    limits: Mapping[str, Limit],
    peers: Mapping[str, str],
) -> str:
    """The line. `labels` has the worker's name by precision, `peers` those it is compared with, by their short name.

    The first is compared in each precision. Memory is of all the worker's processes; n/a was not run.
    """

    def ratio(precision: str, peer: str) -> str:
        if precision not in labels or peer not in found:
            return "n/a"
        return f"{found[labels[precision]].images_per_second / found[peer].images_per_second:.1f}"

    worker = labels["f32"]
    efficiency = limits[worker].sum_ms / found[worker].cpu_ms
    (first, name), *others = peers.items()
    ratios = " ".join(f"{precision} {ratio(precision, name)}" for precision in ("f32", "bf16", "int8"))
    beside = "".join(f" | worker/{short} {ratio('f32', peer)}" for short, peer in others)
    return f"worker/{first} {ratios}{beside} | efficiency {efficiency:.2f} | rss_mb {found[worker].peak_mb:.0f}"
