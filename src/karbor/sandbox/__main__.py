"""`python -m karbor.sandbox --state DIR`: the sandbox cloud as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from karbor.sandbox.process import serve
from karbor.sandbox.state import AlreadyRunning


def main() -> int:
    """Parse the command line and serve; the exit status is 1 where the cloud could not start."""
    parser = argparse.ArgumentParser(prog="python -m karbor.sandbox", description="A small OpenStack on loopback.")
    parser.add_argument("--state", type=Path, required=True, help="the state folder; clouds.yaml is written there")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that an asynchronous step takes (default: 0)")
    options = parser.parse_args()
    try:
        serve(options.state, options.port, options.delay)
    except (AlreadyRunning, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
