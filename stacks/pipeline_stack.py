"""All that can be destroyed and deployed again without losing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from stacks.compute import Compute
from stacks.config import PipelineConfig
from stacks.data_stack import DataStack
from stacks.functions import Functions
from stacks.network import Network
from stacks.triggers import Triggers
from stacks.workflow import Workflow
from stepvec.model import ModelIdentity


class PipelineStack(cdk.Stack):
    """Network, Batch, Lambda functions and the state machine."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStack,
        config: PipelineConfig,
        model: ModelIdentity,
        lambda_code: Path,
        worker_context: Path,
        definition: Path,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        network = Network(self, "Network")
        compute = Compute(
            self, "Batch", vpc=network.vpc, data=data, config=config, model=model, worker_context=worker_context
        )
        functions = Functions(
            self,
            "Functions",
            code=lambda_code,
            data=data,
            config=config,
            model=model,
            worker_logs=compute.log_group,
        )
        workflow = Workflow(
            self,
            "Workflow",
            definition=definition,
            functions=functions,
            compute=compute,
            data=data,
            config=config,
        )
        Triggers(self, "Triggers", functions=functions, workflow=workflow, data=data, config=config)
        cdk.CfnOutput(self, "StateMachineArn", value=workflow.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "Model", value=str(model))
