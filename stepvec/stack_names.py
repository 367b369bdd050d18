"""The CloudFormation stacks by which a deployment is found."""

from __future__ import annotations

from typing import Final

DATA_STACK: Final = "StepvecData"
PIPELINE_STACK: Final = "StepvecPipeline"
