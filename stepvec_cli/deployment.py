"""The deployment that a command is about, found while a terminal says so."""

from __future__ import annotations

from stepvec.client.deployment import Deployment, find_deployment
from stepvec_cli.progress import Steps


def deployed(data_stack: str, pipeline_stack: str) -> Deployment:
    """The pipeline deployed as these stacks. Raises ConfigurationError as find_deployment does."""
    with Steps("Finding the deployment", plain=False):
        return find_deployment(data_stack, pipeline_stack)
