"""A server ends when it is asked to, whichever of its threads the signal comes to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ended

SET_UP = """
import signal, sys, threading
from pathlib import Path

def ready(*_):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # now the thread alone gets them
    print("ready", file=sys.stderr, flush=True)
"""
SERVICE = """
from karbor.serving.signals import Ending
ending = Ending()
ready()
ending.wait()
"""
SANDBOX = """
from karbor.sandbox import serve
serve(Path(sys.argv[1]), 0, 0.0, ready=ready)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("script", [SERVICE, SANDBOX], ids=["service", "sandbox"])
def test_a_signal_that_another_thread_gets_ends_it(tmp_path: Path, script: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SET_UP + script, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        assert ended(process, number) == ""
        assert process.returncode == 0
