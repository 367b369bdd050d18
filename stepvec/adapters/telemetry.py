"""The one logger and the one way to write metrics, of Lambdas and worker (Powertools, JSON lines)."""

from __future__ import annotations

import os
from typing import Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from stepvec.metrics import DEPLOYMENT_DIMENSION, NAMESPACE, Metric

SERVICE: Final = os.environ.get("POWERTOOLS_SERVICE_NAME", "stepvec")
"""The deployment: the pipeline stack's name, which the template sets."""

logger: Final = Logger(service=SERVICE)
metrics: Final = Metrics(namespace=NAMESPACE, service=SERVICE)


def measure(metric: Metric, value: float) -> None:
    """Write `value` of `metric` with the handler's other metrics, at its end (`@metrics.log_metrics`)."""
    metrics.add_metric(metric.name, MetricUnit(metric.unit), value)


def measure_part(metric: Metric, part: str, value: float) -> None:
    """Write `value` of `metric` for one value of its second dimension, at once."""
    own = {DEPLOYMENT_DIMENSION: SERVICE}
    unit = MetricUnit(metric.unit)
    with single_metric(metric.name, unit, value, namespace=NAMESPACE, default_dimensions=own) as written:
        written.add_dimension(metric.dimension, part)
