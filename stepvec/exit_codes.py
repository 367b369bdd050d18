"""Exit codes of the worker, which the job definition's retry strategy knows."""

from __future__ import annotations

from typing import Final

SUCCESS: Final = 0
UNHANDLED_ERROR: Final = 1
"""Python's own, for an exception that nobody caught."""
WRONG_ARGUMENTS: Final = 2
"""argparse's own."""
DO_NOT_RETRY: Final = 64
"""Wrong model, wrong setting, a shard file that cannot be read: another attempt would fail the same way."""
TRY_AGAIN: Final = 75
"""S3 or DynamoDB refused after all retries, or embedding processes died again and again (lack of memory): another
attempt may succeed (EX_TEMPFAIL of sysexits.h)."""
TERMINATED: Final = 143
"""128 + SIGTERM: the host goes away; what was embedded so far is stored."""
