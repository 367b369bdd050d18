"""The one logger and the one metrics namespace of Lambdas and worker (Powertools, JSON lines).

The dimension `service` of every metric is the deployment: the pipeline stack's name, which the template sets.
"""

from __future__ import annotations

import os
from typing import Final

from aws_lambda_powertools import Logger, Metrics

NAMESPACE: Final = "Stepvec"
SERVICE: Final = os.environ.get("POWERTOOLS_SERVICE_NAME", "stepvec")

logger: Final = Logger(service=SERVICE)
metrics: Final = Metrics(namespace=NAMESPACE, service=SERVICE)
