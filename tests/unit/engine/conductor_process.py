"""A conductor in a process of its own, on the state folder that it is told, until it is killed."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from karbor.cloud.delegation import Delegation
from karbor.engine.conductor import Conductor
from karbor.engine.worker import Engine
from karbor.providers import load_providers
from karbor.store.sealed import Seal
from karbor.testing.databases import open_test_state

if __name__ == "__main__":
    facts, folder = json.load(sys.stdin), Path(sys.argv[1])
    delegation = Delegation(
        auth_url=facts["auth_url"], region="sandbox", username=facts["user"], password=facts["password"],
        project_name=facts["user"],
    )  # fmt: skip
    engine = Engine(open_test_state(folder), load_providers(folder))
    Conductor(engine, delegation.by_credential, seal=Seal([facts["key"]]), delegation=delegation).start()
    signal.pause()
