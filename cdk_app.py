"""The CDK app: `cdk synth`, or `.venv/bin/python cdk_app.py`, writes cdk.out. Needs no AWS account, no credentials."""

from __future__ import annotations

import json
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
    if "STEPVEC_ERROR_FILE" in os.environ:  # whoever started this wants to say it in its own way
        Path(os.environ["STEPVEC_ERROR_FILE"]).write_text(json.dumps([error.message, error.remedy]))
    sys.exit(f"error: {error}")
