"""Whether the coded data of a JPEG is its picture: all of it, and nothing else.

libjpeg reports the first thing that it finds odd, and goes on. "5 extraneous bytes before marker 0xd9" may be what a
webcam writes after each whole picture, or what is left over of a picture whose blocks have slipped. Only counting the
blocks tells, so this reads the code words of a sequential Huffman scan (T.81, annex F), without computing a
pixel: about half a second for each megabyte, for the few files that libjpeg complains about.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np

from stepvec_worker.images.jpeg_structure import (
    HUFFMAN_TABLES,
    MAX_SEGMENTS,
    SEQUENTIAL,
    START_OF_SCAN,
    is_frame,
    segments,
)

MAX_SCAN_BYTES: Final = 8 * 1024 * 1024
"""Longer scans are not judged: some ten seconds."""

_QUANTISERS: Final = 0xDB
_RESTART_INTERVAL: Final = 0xDD
_END: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""What ends a scan's data: a marker that is neither a restart nor a stuffed 0xff."""
_RESTART: Final = re.compile(rb"\xff+([\xd0-\xd7])")

_AC_STEP: Final = 5
_BLOCK_ENDS: Final = 128
_INVALID: Final = 1024
"""How an AC code word is kept: its length with the bits that follow it in the low five bits, above them by how many
coefficients it goes on; these two are for an end of block and for no code word at all."""

DC_LIMIT: Final = 1024 + 256
"""A block's mean is a DC of -1024 to 1016 (8 bits a sample). Encoders that smooth the edges of white go beyond it by
up to 31 grey values (mozjpeg's overshoot deringing), which is 248; a quantisation step is added where this is used."""


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """What a scan's data is: `blocks_read` of `blocks` are there; `fault` says what is wrong, "" if nothing is."""

    blocks_read: int
    blocks: int
    fault: str = ""

    @property
    def is_whole(self) -> bool:
        """Every block is there, and no bits that belong to a picture are left over."""
        return not self.fault and self.blocks_read == self.blocks


@dataclass(slots=True, eq=False)
class _Component:
    horizontal: int
    vertical: int
    quantiser: int
    dc: int = 0
    ac: int = 0


@dataclass(slots=True)
class _Tables:
    width: int = 0
    height: int = 0
    restart_interval: int = 0
    components: dict[int, _Component] = field(default_factory=dict)
    dc_quantisers: dict[int, int] = field(default_factory=dict)
    dc: dict[int, array[int]] = field(default_factory=dict)
    ac: dict[int, array[int]] = field(default_factory=dict)


def judge_scan(data: bytes) -> ScanVerdict | None:
    """The verdict on the only scan of `data`; None for JPEGs of other kinds (progressive, several scans) and sizes."""
    tables = _Tables()
    try:
        scan = _read_header(data, tables)
    except (IndexError, KeyError, ValueError):
        return None
    if scan is None:
        return None
    ended = _END.search(data, scan)
    coded = data[scan : ended.start() if ended else len(data)]
    if len(coded) > MAX_SCAN_BYTES:
        return None
    return _judge(coded, tables)


def _read_header(data: bytes, tables: _Tables) -> int | None:
    """Fill `tables`; return where the scan's data begins, None if it is not a sequential scan of all components."""
    for segment in islice(segments(data), MAX_SEGMENTS):
        body = data[segment.body : segment.end]
        if segment.marker == START_OF_SCAN:
            return segment.end if _read_scan_header(body, tables) else None
        if segment.marker == HUFFMAN_TABLES:
            _read_huffman(body, tables)
        elif segment.marker == _QUANTISERS:
            _read_quantisers(body, tables)
        elif segment.marker == _RESTART_INTERVAL:
            tables.restart_interval = int.from_bytes(body[:2], "big")
        elif segment.marker in SEQUENTIAL and body[0] == 8:
            tables.height, tables.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            for part in range(body[5]):
                name, sampling, quantiser = body[6 + 3 * part : 9 + 3 * part]
                tables.components[name] = _Component(sampling >> 4, sampling & 15, quantiser)
        elif is_frame(segment.marker):
            return None
    return None


def _read_scan_header(body: bytes, tables: _Tables) -> bool:
    if not tables.components or not tables.width or not tables.height or body[0] != len(tables.components):
        return False
    for part in range(body[0]):
        name, selectors = body[1 + 2 * part], body[2 + 2 * part]
        component = tables.components[name]
        component.dc, component.ac = selectors >> 4, selectors & 15
        if not component.horizontal or not component.vertical:
            return False
        _ = tables.dc[component.dc], tables.ac[component.ac], tables.dc_quantisers[component.quantiser]
    return True


def _read_quantisers(body: bytes, tables: _Tables) -> None:
    at = 0
    while at < len(body):
        size = 2 if body[at] >> 4 else 1
        tables.dc_quantisers[body[at] & 15] = int.from_bytes(body[at + 1 : at + 1 + size], "big")
        at += 1 + 64 * size


def _read_huffman(body: bytes, tables: _Tables) -> None:
    at = 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        is_ac, number = body[at] >> 4, body[at] & 15
        (tables.ac if is_ac else tables.dc)[number] = _lookup(counts, symbols, is_ac=bool(is_ac))
        at += 17 + len(symbols)


def _lookup(counts: bytes, symbols: bytes, *, is_ac: bool) -> array[int]:
    """For each 16 bits that may come next: AC as above; DC the code word's length and, above 5 bits, its size."""
    table = np.full(1 << 16, _INVALID << _AC_STEP, np.uint16)
    code, taken = 0, 0
    for length in range(1, 17):
        for symbol in symbols[taken : taken + counts[length - 1]]:
            run, size = symbol >> 4, symbol & 15
            if not is_ac:
                entry = length | symbol << _AC_STEP
            elif size:
                entry = (length + size) | (run + 1) << _AC_STEP
            else:
                entry = length | (16 if run == 15 else _BLOCK_ENDS) << _AC_STEP
            table[code << (16 - length) : (code + 1) << (16 - length)] = entry
            code += 1
        taken += counts[length - 1]
        code <<= 1
    return array("H", table.tobytes())


def _judge(coded: bytes, tables: _Tables) -> ScanVerdict:
    components = list(tables.components.values())
    tallest, widest = max(one.vertical for one in components), max(one.horizontal for one in components)
    if len(components) == 1:  # not interleaved: blocks, not MCUs (T.81, A.2.2)
        mcus, order = -(-tables.width // 8) * -(-tables.height // 8), components
    else:
        mcus = -(-tables.width // (8 * widest)) * -(-tables.height // (8 * tallest))
        order = [one for one in components for _ in range(one.horizontal * one.vertical)]
    parts = _RESTART.split(coded)
    pieces, restarts = parts[0::2], [marker[0] & 7 for marker in parts[1::2]]
    interval = tables.restart_interval or mcus
    total = mcus * len(order)
    if restarts != [number % 8 for number in range(len(restarts))] or len(restarts) != -(-mcus // interval) - 1:
        return ScanVerdict(0, total, f"{len(restarts)} restart markers, out of order or not as many as there must be")
    read = 0
    for number, piece in enumerate(pieces):
        wanted = min(interval, mcus - number * interval)
        blocks, fault = _judge_piece(piece.replace(b"\xff\x00", b"\xff"), wanted, order, tables)
        read += blocks
        if fault or blocks < wanted * len(order):
            return ScanVerdict(read, total, fault)
    return ScanVerdict(read, total)


def _judge_piece(coded: bytes, mcus: int, order: list[_Component], tables: _Tables) -> tuple[int, str]:
    """Blocks found in the bytes between two restarts (0xff no longer stuffed), and what is wrong with them."""
    bits = len(coded) * 8
    padded = np.frombuffer(coded + bytes(16), np.uint8).astype(np.uint32)
    # The 32 bits that begin at each byte.
    words = array("I", (padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]).tobytes())
    at, blocks, fault = _read_blocks(words, 0, bits, mcus * len(order), order, tables)
    if fault or blocks < mcus * len(order):
        return blocks, fault
    if not _is_filled_up(words, at):
        return blocks, "the last block does not end where its data ends"
    left_over = coded[-(-at // 8) :]
    if len(set(left_over)) > 1:
        # Are these more blocks of the picture, up to the very last byte? Then earlier ones have been lost.
        end, more, wrong = _read_blocks(words, at, bits, bits, order, tables)
        is_all = wrong == _RAN_OUT and bits - end < 8 and _is_filled_up(words, end)
        if more and more % len(order) == 0 and is_all:
            return blocks, f"{more} blocks are left over"
    return blocks, ""


def _is_filled_up(words: array[int], at: int) -> bool:
    """Whether ones fill up the byte of bit `at`, as they must after the last block (T.81, F.1.2.3)."""
    ones = (1 << -at % 8) - 1
    return words[at >> 3] >> 24 & ones == ones


_RAN_OUT: Final = "ran out"


def _read_blocks(
    words: array[int], at: int, bits: int, count: int, order: list[_Component], tables: _Tables
) -> tuple[int, int, str]:
    """Read up to `count` blocks from bit `at`: the bit after the last whole one, how many, and what stopped it."""
    plan = [
        (tables.dc[one.dc], tables.ac[one.ac], tables.dc_quantisers[one.quantiser], order.index(one)) for one in order
    ]
    means = [0] * len(order)
    blocks, start = 0, at
    while blocks < count:
        for dc, ac, quantiser, owner in plan:
            start = at
            entry = dc[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
            at += entry & 31
            size = entry >> 5
            if size > 11:
                return start, blocks, "a code word that does not exist" if at < bits else _RAN_OUT
            if size:
                value = words[at >> 3] >> (32 - (at & 7) - size) & (1 << size) - 1
                at += size
                means[owner] += value if value >> (size - 1) else value - (1 << size) + 1
            place = 1
            while place < 64:
                if at >= bits:
                    return start, blocks, _RAN_OUT
                entry = ac[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
                at += entry & 31
                place += entry >> 5
            if at > bits:
                return start, blocks, _RAN_OUT
            if 64 < place < _BLOCK_ENDS or place >= _INVALID:
                return start, blocks, "a block of more than 64 coefficients" if place < _INVALID else "a bad code word"
            if abs(means[owner]) * quantiser > DC_LIMIT + quantiser:
                return start, blocks, "a block brighter than white or darker than black"
            blocks += 1
    return at, blocks, ""
