"""Which rows of a table an export has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepvec.errors import InvalidInputError
from stepvec.export.columns import WireItem
from stepvec.export.format import Since


class SeveralModelsError(InvalidInputError):
    """There are rows of another model, and nobody said which to take."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of `model`, of keys under `prefixes` or in `keys` (all if there are none of both), since a run began.

    `is_named`: somebody named the model. If not, a row of another one is an error, and no row is passed over.
    """

    model: str
    is_named: bool
    prefixes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    since: Since | None = None

    def scan_request(self) -> dict[str, Any]:
        """The filter for a Scan, so that other rows are not sent. Rows of other models are: they are counted."""
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        conditions = []
        if self.prefixes or self.keys:
            names["#key"] = "Key"
            prefixes = {f":p{number}": {"S": prefix} for number, prefix in enumerate(self.prefixes)}
            keys = {f":k{number}": {"S": key} for number, key in enumerate(self.keys)}
            values |= prefixes | keys
            either = [*(f"begins_with(#key, {name})" for name in prefixes), *(f"#key = {name}" for name in keys)]
            conditions.append(" OR ".join(either))
        if self.since:
            names |= {"#run": "Run", "#created": "Created"}
            values |= {":run": {"S": self.since.run}, ":since": {"S": self.since.started}}
            conditions.append("#run = :run OR #created >= :since")
        if not conditions:
            return {}
        return {
            "FilterExpression": " AND ".join(f"({condition})" for condition in conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def covers(self, item: WireItem) -> bool:
        """Whether the filter of `scan_request` lets the row through. Times are compared as text, as DynamoDB does."""
        if self.prefixes or self.keys:
            key = _text(item, "Key")
            if not key.startswith(self.prefixes) and key not in self.keys:
                return False
        if self.since is None or _text(item, "Run") == self.since.run:
            return True
        return "Created" in item and _text(item, "Created") >= self.since.started

    def of_model(self, items: Sequence[Mapping[str, Any]], left_out: Counter[str]) -> list[Mapping[str, Any]]:
        """Those of `items` of this model. Those of others are counted in `left_out`, "" for none.

        Raises SeveralModelsError where the model was not named.
        """
        chosen = [item for item in items if _text(item, "Model") == self.model]
        if len(chosen) < len(items):
            left_out.update(name for name in (_text(item, "Model") for item in items) if name != self.model)
            if not self.is_named:
                raise SeveralModelsError(
                    f"Not all rows are of the deployed model {self.model}: there are also rows of "
                    f"{', '.join(name or 'no model at all' for name in left_out)}. Nothing was exported.",
                    remedy=f"Say which to take, for example --model {self.model}, or embed the other rows again "
                    "(stepvec run PREFIX does so for rows of another model). Vectors of two models are never mixed.",
                )
        return chosen


def _text(item: WireItem, name: str) -> str:
    value: str = item.get(name, {}).get("S", "")
    return value
