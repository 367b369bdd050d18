"""Each engine and precision alone: speed, memory, start, and agreement with MXNet float32.

    PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.engines PHOTOS [--record]

Every measurement is a process of its own, of the worker's environment. ResNet18 v2 with weights from a
seed is what speed is about; the model in build/model, which is trained, is what agreement is about.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from stepvec_worker.engines import load_embedder
from stepvec_worker.images.decoding import DecodeLimits
from stepvec_worker.images.preprocessing import Pixels, pixel_format, prepare
from stepvec_worker.int8.calibration import Calibrator, cosines, neighbours
from stepvec_worker.int8.networks import BuiltNetwork

from stepvec.rows.model import WEIGHTS_FILE
from stepvec.weights.make import add_calibration
from stepvec.weights.model_directory import model_files, read_model_card
from stepvec.weights.params_file import read_params
from testkit.processes import peak_mb
from testkit.seeded_model import make_seeded_model
from testkit.tables import markdown_table, write_section

ENGINES: Final = (
    ("mxnet", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
BATCHES: Final = (1, 8, 32)
SECONDS: Final = 4.0
ROOT: Final = Path(__file__).resolve().parent.parent


def measure(model: Path, engine: Any, precision: Any, batch_size: int, pixels: list[Pixels]) -> dict[str, Any]:
    """In this process: load, embed for SECONDS, and what that took; the vectors of `pixels` besides."""
    start, cpu = time.perf_counter(), time.process_time()
    format_ = pixel_format("standard-1")
    embedder = load_embedder(model, "cpu", format_, batch_size, engine=engine, precision=precision)
    embedder.embed(pixels[:1])
    first, first_cpu = time.perf_counter() - start, time.process_time() - cpu
    batch = (pixels * batch_size)[:batch_size]
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < SECONDS:
        embedder.embed(batch)
        count += batch_size
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    memory = int(peak_mb())
    vectors = [embedder.embed(pixels[at : at + batch_size]) for at in range(0, len(pixels), batch_size)]
    return {
        "running": embedder.running,
        "first": first,
        "first_cpu": first_cpu,
        "per_second": count / seconds,
        "per_cpu_second": count / cpu_seconds,
        "memory": memory,
        "vectors": np.concatenate(vectors),
    }


def in_a_process(folder: Path, model: Path, engine: str, precision: str, batch_size: int) -> dict[str, Any]:
    """`measure` in a fresh process, on the pixels in `folder`."""
    out = folder / "result.npz"
    arguments = ["--measure", str(folder / "pixels.npy"), str(model), engine, precision, str(batch_size), str(out)]
    subprocess.run([sys.executable, "-m", "bench.engines", *arguments], cwd=ROOT, check=True)
    with np.load(out) as result:
        about: dict[str, Any] = json.loads(str(result["about"]))
        return about | {"vectors": result["vectors"]}


def calibrated_copy(model: Path, target: Path, pixels: list[Pixels]) -> Path:
    """`model` in `target` with an int8.json: its own, or one made of `pixels`."""
    card = read_model_card(model)
    target.mkdir()
    for name in model_files(card):
        (target / name).write_bytes((model / name).read_bytes())
    if card.int8 is None:
        parameters = read_params((model / WEIGHTS_FILE).read_bytes(), where=str(model))
        calibrator = Calibrator(BuiltNetwork(card, parameters, pixel_format("standard-1")), pixels, print)
        add_calibration(target, calibrator.calibrate())
    return target


def rows_of(folder: Path, model: Path) -> list[list[str]]:
    """The table's rows of one model, first to last of ENGINES."""
    rows, reference = [], None
    for engine, precision in ENGINES:
        results = {size: in_a_process(folder, model, engine, precision, size) for size in BATCHES}
        largest = results[BATCHES[-1]]
        vectors = largest["vectors"]
        reference = vectors if reference is None else reference
        near, same = cosines(vectors, reference), neighbours(vectors) == neighbours(reference)
        rows.append(
            [
                f"{read_model_card(model).architecture}, {largest['running']}",
                " / ".join(f"{results[size]['per_cpu_second']:.0f}" for size in BATCHES),
                " / ".join(f"{results[size]['per_second']:.0f}" for size in BATCHES),
                f"{largest['memory']}",
                f"{largest['first']:.1f} ({largest['first_cpu']:.1f})",
                f"{near.mean():.5f}",
                f"{near.min():.4f}",
                f"{same.mean():.3f}",
            ]
        )
        print(" | ".join(rows[-1]), flush=True)
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        file, model, engine, precision, size, out = sys.argv[2:]
        result = measure(Path(model), engine, precision, int(size), list(np.load(file)))
        vectors = result.pop("vectors")
        np.savez(out, about=json.dumps(result), vectors=vectors)
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--model", type=Path, default=ROOT / "build" / "model", help="the trained model")
    parser.add_argument("--record", action="store_true", help="write the table into docs/performance.md")
    options = parser.parse_args()
    files = sorted(options.photos.rglob("*.jpg"))
    pixels = [prepare(file.read_bytes(), DecodeLimits(), "standard-1") for file in files]
    with tempfile.TemporaryDirectory(prefix="stepvec-engines-") as name:
        folder = Path(name)
        # Calibrated on one half, compared on the other.
        np.save(folder / "pixels.npy", np.stack(pixels[1::2]))
        resnet, calibration = folder / "resnet", folder / "calibration"
        calibration.mkdir()
        for number, file in enumerate(files[::2]):
            (calibration / f"{number:06d}.jpg").symlink_to(file.resolve())
        make_seeded_model(resnet, calibrated_on=calibration)
        trained = calibrated_copy(options.model, folder / "trained", pixels[::2])
        rows = rows_of(folder, resnet) + rows_of(folder, trained)
    sizes = " / ".join(map(str, BATCHES))
    head = ["", f"images/CPU-s at batch {sizes}", f"images/s at batch {sizes}", "peak MB", "load to vector, s (CPU)"]
    text = markdown_table([*head, "cosine, mean", "worst", "same neighbour"], rows)
    if options.record:
        write_section("engines", text)
    print(text)


if __name__ == "__main__":
    main()
