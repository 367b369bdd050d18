"""What CloudFormation says of the stacks: names, status and outputs. It deploys nothing here: the Deployer does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def record_stack(client: Any, name: str, outputs: Mapping[str, str]) -> None:
    """Make DescribeStacks answer with `outputs` for the stack `name`, so that clients find what was deployed."""
    template = {"Resources": {}, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    try:
        client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    except client.exceptions.AlreadyExistsException:
        client.update_stack(StackName=name, TemplateBody=json.dumps(template))
