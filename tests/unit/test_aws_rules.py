"""docs/aws-rules.md: made from aws_rules.py and stepvec/limits.py, and every test that it names exists.

    STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_aws_rules.py

writes it again.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.conftest import ROOT
from tests.infra.aws_rules import CHECKS, PROOF_CHECKS, RULES, Rule

DOCUMENT = ROOT / "docs" / "aws-rules.md"
LIMITS = ROOT / "stepvec" / "limits.py"
IS_UPDATE = bool(os.environ.get("STEPVEC_UPDATE"))
REMEDY = "If that is meant: STEPVEC_UPDATE=1 .venv/bin/python -m pytest tests/unit/test_aws_rules.py"
BEGIN, END = "<!-- begin {} -->\n", "<!-- end {} -->"


@dataclass(frozen=True)
class Limit:
    """A constant of stepvec/limits.py: its value as written, its source, and what its docstring says."""

    name: str
    value: str
    source: str
    about: str


def limits() -> Iterator[Limit]:
    """The constants of limits.py; a comment with an address is the source of what follows it in its section."""
    text = LIMITS.read_text()
    body = ast.parse(text).body
    lines = text.splitlines()
    for node, following in pairwise([*body, ast.Pass()]):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            continue
        # Its section's heading and the addresses below that; the nearest address counts.
        above = "\n".join(lines[: node.lineno - 1]).rpartition("# --- ")[2]
        addresses = re.findall(r"^# (https://\S+)", above, flags=re.MULTILINE)
        docstring = following.value if isinstance(following, ast.Expr) else None
        about = str(docstring.value) if isinstance(docstring, ast.Constant) else ""
        value = ast.unparse(node.value)
        yield Limit(
            node.target.id, value, addresses[-1] if addresses else "", re.split(r"\n|https://", about)[0].strip()
        )


def checked_by(rule: Rule) -> str:
    parts = [f"`{test.rpartition('/')[2]}`" for test in rule.tests]
    parts += ["cfn-lint"] * rule.schema + ["second opinion"] * rule.second_opinion
    if rule.proof:
        parts.append(f"**account**: {rule.proof}")
    return ", ".join(parts) or "**account**: nothing yet"


def page(address: str) -> str:
    """A short name for a page: the last part of its path, or the issue."""
    issue = re.match(r"https://github\.com/(.+)/issues/(\d+)", address)
    return f"{issue[1]}#{issue[2]}" if issue else address.rstrip("/").rpartition("/")[2].removesuffix(".html")


def rules_table() -> str:
    lines = []
    for service in dict.fromkeys(rule.service for rule in RULES):
        lines += ["", f"### {service}", "", "| Rule | Source | Checked by |", "|---|---|---|"]
        lines += [
            f"| {rule.text} | [{page(rule.address)}]({rule.address}) | {checked_by(rule)} |"
            for rule in RULES
            if rule.service == service
        ]
    return "\n".join(lines).strip() + "\n"


def counts() -> str:
    only_account = sum(rule.checks == ("account",) for rule in RULES)
    looked_at = sum("account" in rule.checks for rule in RULES)
    return (
        f"{len(RULES)} rules: {sum('test' in rule.checks for rule in RULES)} held by tests, "
        f"{sum('schema' in rule.checks for rule in RULES)} by cfn-lint, "
        f"{sum('second opinion' in rule.checks for rule in RULES)} by a second emulator; "
        f"{looked_at} that an account would settle, {only_account} of them checked by nothing else.\n"
    )


def limits_table() -> str:
    lines = ["| Limit | Value | Source | |", "|---|---:|---|---|"]
    lines += [
        f"| `{one.name}` | `{one.value}` | [{page(one.source)}]({one.source}) | {one.about} |" for one in limits()
    ]
    return "\n".join(lines) + "\n"


def document(text: str) -> str:
    for name, table in (("counts", counts()), ("rules", rules_table()), ("limits", limits_table())):
        before, _, rest = text.partition(BEGIN.format(name))
        after = rest.partition(END.format(name))[2]
        text = f"{before}{BEGIN.format(name)}\n{table}\n{END.format(name)}{after}"
    return text


def test_the_document_is_made_from_the_rules() -> None:
    text = DOCUMENT.read_text()
    made = document(text)
    if IS_UPDATE:
        DOCUMENT.write_text(made)
    assert DOCUMENT.read_text() == made, REMEDY


@pytest.mark.parametrize("name", sorted({test for rule in RULES for test in rule.tests}))
def test_every_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    names = {
        node.name
        for node in ast.walk(ast.parse((ROOT / "tests" / file).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not function or function in names


def test_every_rule_has_a_source_and_a_check() -> None:
    for rule in RULES:
        assert rule.address.startswith("https://"), rule.text
        assert set(rule.checks) <= set(CHECKS)
        assert not rule.proof or rule.proof in PROOF_CHECKS
    assert len({rule.text for rule in RULES}) == len(RULES)


def test_each_check_on_an_account_answers_a_rule() -> None:
    assert {rule.proof for rule in RULES} - {""} == set(PROOF_CHECKS)


def test_every_limit_has_a_source_and_a_user() -> None:
    found = list(limits())
    assert len(found) > 40
    assert [limit.name for limit in found if not limit.source.startswith("https://")] == []
    code = "".join(
        path.read_text()
        for folder in ("stacks", "stepvec", "lambdas", "worker_image", "stepvec_cli", "local_pipeline", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path != LIMITS
    )
    assert [limit.name for limit in found if not re.search(rf"\b{limit.name}\b", code)] == []
