"""What a construct needs that starts runs: by schedule, by upload, by HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.functions import Functions
from stacks.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Startable:
    """A pipeline whose runs can be started: its state machine, buckets and functions, and how it is configured."""

    functions: Functions
    workflow: Workflow
    data: DataStack
    config: PipelineConfig
