"""The one logger and the one metrics namespace of Lambdas and worker (Powertools, JSON lines)."""

from __future__ import annotations

from typing import Final

from aws_lambda_powertools import Logger, Metrics

NAMESPACE: Final = "Stepvec"
SERVICE: Final = "stepvec"

logger: Final = Logger(service=SERVICE)
metrics: Final = Metrics(namespace=NAMESPACE, service=SERVICE)
