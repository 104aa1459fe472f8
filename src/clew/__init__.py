"""clew: a causal debugger for async, threaded, distributed and agentic Python.

``import clew`` loads nothing but the standard library; every call is a cheap no-op
until the process is recorded (``clew run``, ``CLEW=record`` or ``clew.install()``).
"""

from clew.probe.api import effect as effect
from clew.probe.api import event as event
from clew.probe.api import install as install
from clew.probe.api import is_recording as is_recording
from clew.probe.api import resource as resource
from clew.probe.api import run as run
from clew.probe.api import span as span

__version__ = "0.1.0"
