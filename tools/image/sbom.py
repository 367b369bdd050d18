"""Writes the bill of materials of the built image, CycloneDX in JSON, and holds it against the lock.

    python -m tools.image.sbom build/image

syft reads Debian's packages and Python's off the image's layers. What it cannot see: libraries that wheels carry inside
(libopenblas in mxnet, codecs in pillow), and the model, whose card (model.json) names source and licence.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SYFT: Final = Path(sys.executable).parent / "syft"
_LOCKED: Final = re.compile(r"^([\w.-]+)==([\w.+-]+)", re.MULTILINE)


def write_sbom(engine: Path, image: str, target: Path) -> Counter[str]:
    """Write the bill of materials of `image`; how many packages of each kind ("deb", "pypi") it names.

    Raises RuntimeError when it misses a package of the lock.
    """
    archive = target.with_name("image.tar")
    try:
        subprocess.run([str(engine), "save", "--output", str(archive), image], check=True, capture_output=True)
        subprocess.run(
            [
                *(str(SYFT), "scan", "--quiet", f"docker-archive:{archive}"),
                *("--source-name", image, "--output", f"cyclonedx-json={target}"),
            ],
            check=True,
            # It asks its maker for newer versions otherwise.
            env={"SYFT_CHECK_FOR_APP_UPDATE": "false", "HOME": str(target.parent), "TMPDIR": str(target.parent)},
        )
    finally:
        archive.unlink(missing_ok=True)
    urls = [component.get("purl", "") for component in json.loads(target.read_text())["components"]]
    missing = _locked() - {url.split("?")[0] for url in urls}
    if missing:
        raise RuntimeError(f"{target} misses {', '.join(sorted(missing))}")
    return Counter(url.removeprefix("pkg:").split("/")[0] for url in urls if url)


def _locked() -> set[str]:
    lock = (ROOT / "requirements" / "worker.txt").read_text()
    return {f"pkg:pypi/{name}@{version}" for name, version in _LOCKED.findall(lock)}


def main() -> None:
    """Write it and say what it covers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("state", type=Path, help="the folder of tools/image/build.sh")
    parser.add_argument("--image", default="stepvec-worker:latest")
    options = parser.parse_args()
    state = options.state.resolve()
    kinds = write_sbom(state / "engine", options.image, state / "sbom.json")
    covered = f"{kinds['deb']} packages of Debian, {kinds['pypi']} of PyPI, every locked one among them"
    print(f"{options.state}/sbom.json: {covered}")


if __name__ == "__main__":
    main()
