"""The corpus's tables in docs/reliability.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local_pipeline.installation import ROOT
from resilience.corpus.collect import CorpusFile
from resilience.corpus.encoders import EMBEDDED, MUTATIONS
from resilience.corpus.run import Outcomes
from testkit.tables import describe_machine, markdown_table

RELIABILITY: Final = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- begin corpus -->", "<!-- end corpus -->"
SPOT_CHECK: Final = {
    "pillow/16_bit_noise.tif": "grey of 16 bits",
    "pillow/pil_sample_cmyk.jpg": "JPEG in CMYK",
    "pillow/lab.tif": "TIFF in L*a*b*",
    "pillow/exif-dpi-zerodivision.jpg": "a JPEG whose Exif divides by zero",
    "pillow/hopper_orientation_6.jpg": "a photo stored turned",
    "pillow/truncated_jpeg.jpg": "a JPEG without its last byte",
    "pillow/decompression_bomb.gif": "a bomb of 400 megapixels",
    "pillow/avif/hopper.avif.jpg": "an AVIF",
    "pillow/hopper.jp2.jpg": "a JPEG 2000",
    "pillow/hopper.psd.jpg": "a Photoshop file",
    "pillow/hopper.ppm.jpg": "a Netpbm picture, of no format of ours",
    "pillow/crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": "once crashed Pillow",
    "pillow/timeout-6646305047838720.jpg": "once kept Pillow busy for ever",
    "generated/scans.jpg": "2,010 scans of 64 megapixels in 0.6 MB",
    "generated/pdf-inside.jpg": "a JPEG with a PDF in its comment",
    "generated/svg.jpg": "an SVG with a script",
    "generated/largest-rgba.png": "64 megapixels with transparency",
    "generated/300-megabytes.jpg": "a photo and 300 MB of zeros",
}
"""Files of which the outcome can be judged by reading, and what each is."""


def write_corpus_section(
    files: list[CorpusFile],
    isolated: list[dict[str, Any]],
    mutated: list[dict[str, Any]],
    run: Outcomes,
    verdict: str,
    missing: list[str],
) -> None:
    """Put the tables between the section's marks."""
    seconds, file = max(
        ((result["seconds"], file) for file, result in zip(files, isolated, strict=True)), key=lambda pair: pair[0]
    )
    megabytes, largest = max(
        ((result["megabytes"], file) for file, result in zip(files, isolated, strict=True)), key=lambda pair: pair[0]
    )
    costs = (
        f"Longest: {seconds:.1f} s of CPU (`{file.path.name}`). Most memory of one image: {megabytes:.0f} MB beside "
        f"the worker's own (`{largest.path.name}`); the worker's peak was {run.peak_megabytes} MB. The jobs "
        f"ended with exit codes {sorted(run.exit_codes)} and logged {run.log_bytes / 1000:.0f} KB."
    )
    mutations = (
        f"Small files of each format, changed at random: {len(mutated) * MUTATIONS:,}. {_failed(mutated)} "
        f"of {MUTATIONS} crashed or hung; the slowest took {_max_of(mutated, 'seconds'):.1f} s of CPU, "
        f"the largest {_max_of(mutated, 'megabytes'):.0f} MB."
    )
    measured = f"Measured {datetime.now(UTC):%Y-%m-%d} on {describe_machine()}, by `make corpus RECORD=1`."
    left_out = [f"Left out: {'; '.join(missing)}."] if missing else []
    parts = [f"`{verdict}`", _by_source(files, run), costs, mutations, *left_out, _spot_check(run), measured]
    text = "\n\n".join(parts)
    document = RELIABILITY.read_text(encoding="utf-8")
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    RELIABILITY.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _by_source(files: list[CorpusFile], run: Outcomes) -> str:
    outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        outcomes[file.source][run.by_key.get(file.key, "no outcome")] += 1
    total = sum(outcomes.values(), Counter[str]())
    reasons = [reason for reason, _ in total.most_common() if reason != EMBEDDED]
    rows = [
        [name, f"{sum(counts.values()):,}", f"{counts[EMBEDDED]:,}", *(f"{counts[reason]:,}" for reason in reasons)]
        for name, counts in [*outcomes.items(), ("all", total)]
    ]
    return markdown_table(["source", "files", EMBEDDED, *reasons], rows)


def _spot_check(run: Outcomes) -> str:
    rows = [
        f"| `{Path(key).name}` | {what} | {run.by_key[key]} |" for key, what in SPOT_CHECK.items() if key in run.by_key
    ]
    return "\n".join(["| file | what it is | outcome |", "| --- | --- | --- |", *rows])


def _failed(results: list[dict[str, Any]]) -> str:
    failed = sum(result["outcome"] != EMBEDDED for result in results)
    return f"{failed or 'No'} batch{'es' if failed > 1 else ''}"


def _max_of(results: list[dict[str, Any]], name: str) -> float:
    return max(float(result[name]) for result in results)
