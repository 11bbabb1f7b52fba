"""`python -m karbor` is the command `karbor`; operations that go on detached are started so."""

from __future__ import annotations

from karbor.main import main

if __name__ == "__main__":
    main()
