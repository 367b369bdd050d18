"""Everything that can be destroyed and deployed again without losing data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from stacks.alarms import Alarms, Notifications
from stacks.compute import Compute
from stacks.config import PipelineConfig
from stacks.dashboard import Dashboard
from stacks.data_stack import DataStack
from stacks.functions import Functions
from stacks.http_start import HttpStart
from stacks.network import Network
from stacks.startable import Startable
from stacks.triggers import Triggers
from stacks.workflow import Workflow
from stepvec import codec
from stepvec.rows.model import ModelIdentity


class PipelineStack(cdk.Stack):
    """Network, Batch, Lambda functions, the state machine, triggers and monitoring."""

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
        network = Network(self, "Network", config=config)
        notifications = Notifications(self, "Notifications", data=data, config=config)
        compute = Compute(
            self, "Batch", network=network, data=data, config=config, model=model, worker_context=worker_context
        )
        functions = Functions(
            self,
            "Functions",
            code=lambda_code,
            data=data,
            config=config,
            model=model,
            worker_logs=compute.log_group,
            worker_version=compute.worker_version,
            topic=notifications.topic,
        )
        workflow = Workflow(
            self,
            "Workflow",
            definition=definition,
            functions=functions,
            compute=compute,
            data=data,
            config=config,
            model=model,
        )
        startable = Startable(functions, workflow, data, config)
        triggers = Triggers(self, "Triggers", startable)
        if config.http_start:
            HttpStart(self, "HttpStart", startable)
        alarms = Alarms(
            self,
            "Alarms",
            workflow=workflow,
            compute=compute,
            functions=functions,
            data=data,
            notifications=notifications,
            triggers=triggers,
        )
        dashboard = Dashboard(self, "Watch", workflow=workflow, functions=functions, data=data, alarms=alarms)
        cdk.CfnOutput(self, "StateMachineArn", value=workflow.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "Model", value=str(model))
        cdk.CfnOutput(self, "VectorType", value=config.vector_type)
        cdk.CfnOutput(self, "Capacity", value=codec.to_json(config.capacity))
        cdk.CfnOutput(self, "Suffixes", value=codec.to_json(config.suffix_rule.more))
        cdk.CfnOutput(self, "TopicArn", value=notifications.topic.topic_arn)
        cdk.CfnOutput(self, "DashboardName", value=dashboard.dashboard.dashboard_name)
