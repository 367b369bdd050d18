"""The CDK app: `cdk synth`, or `.venv/bin/python cdk_app.py`, writes cdk.out. Needs no AWS account, no credentials."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from stacks.app import build_app
from stacks.config import settings_of
from stepvec.errors import StepvecError

# The CDK CLI says where its assembly belongs; by hand it goes to cdk.out.
outdir = None if "CDK_OUTDIR" in os.environ else Path("cdk.out")
try:
    with tempfile.TemporaryDirectory(prefix="stepvec-assets-") as staging:
        build_app(Path(staging), outdir=outdir, overrides=settings_of(os.environ)).synth()
except StepvecError as error:
    sys.exit(f"error: {error}")
