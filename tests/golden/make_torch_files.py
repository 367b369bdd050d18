"""Writes torch_zip.pth and torch_legacy.pth: small files that torch itself saved, in its two forms.

Run by hand, once, from the repository's root, in an environment with torch:

    PYTHONPATH=. python tests/golden/make_torch_files.py
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch

# What tests/weights/test_torch_file.py expects of each entry is in its name there.
whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict(
    contiguous=whole,
    transposed=whole.T,
    part=whole[1:3, 2:5],
    parameter=torch.nn.Parameter(torch.tensor([1.5, -2.5])),
    counter=torch.tensor(7),
    half=torch.tensor([0.5, 2.0], dtype=torch.float16),
)
for name, zipped in (("torch_zip.pth", True), ("torch_legacy.pth", False)):
    torch.save(state, Path(__file__).with_name(name), _use_new_zipfile_serialization=zipped)
