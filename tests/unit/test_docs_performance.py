"""docs/performance.md names every benchmark with options that it takes, and figures that stand in the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_text import ROOT, commands, read

from karbor.banks.pieces import PIECE_SIZE
from karbor.cloud.connection import TRANSFERS, Cloud
from karbor.engine.walk import MAX_THREADS

TEXT = read("docs/performance.md")
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", BENCHMARKS, ids=lambda path: path.name)
def test_every_benchmark_can_be_run_as_told(script: Path) -> None:
    name = f"benchmarks/{script.name}"
    (typed,) = (words for words in commands(TEXT) if name in words)
    assert typed[0] == ".venv/bin/python"
    helped = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, timeout=60, check=True)
    told = {*typed, *(word for words in re.findall(rf"`{re.escape(name)} ([^`]+)`", TEXT) for word in words.split())}
    for option in (word for word in told if word.startswith("--")):
        assert option in helped.stdout


def test_there_is_a_table_for_measured_runs() -> None:
    table = TEXT.split("<!-- measured:")[1].split("<!-- measured: end -->")[0]
    for script in BENCHMARKS:
        assert f"`benchmarks/{script.name} " in table


def test_the_limits_are_those_of_the_code() -> None:
    assert f"pieces of {PIECE_SIZE // 2**20} MiB" in TEXT
    assert f"at most {TRANSFERS} downloads and {TRANSFERS} uploads" in TEXT
    assert f"At most {inspect.signature(Cloud.connect).parameters['limit'].default} calls" in TEXT
    assert f"at most {MAX_THREADS} hooks run at once" in TEXT
