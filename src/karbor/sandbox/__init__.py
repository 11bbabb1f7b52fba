"""A small OpenStack over HTTP on loopback, to try Karbor with, to test against and to measure on."""

from karbor.sandbox.process import Sandbox, is_running, serve
from karbor.sandbox.state import AlreadyRunning

__all__ = ["AlreadyRunning", "Sandbox", "is_running", "serve"]
