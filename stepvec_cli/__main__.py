"""`python -m stepvec_cli`: the same as `stepvec`."""

from __future__ import annotations

from stepvec_cli.main import run

if __name__ == "__main__":
    run()
