"""Which seams there are, and when each is installed."""

from __future__ import annotations

from importlib import import_module

from clew.probe.imports import when_imported
from clew.probe.patching import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from clew.probe.session import Session

# Seam module -> the modules it waits for. Its ``install(module, session)`` is called
# after each of them was imported.
SEAMS: dict[str, tuple[str, ...]] = {
    "asyncio_loop": ("asyncio",),
    "uvloop_loop": ("uvloop",),
    "threads": ("threading",),
    "thread_locks": ("threading", "dill"),
    "thread_conditions": ("threading",),
    "thread_waits": ("threading",),
    "thread_queues": ("queue",),
    "thread_simple_queue": ("queue",),
    "executors": ("concurrent.futures._base", "concurrent.futures.thread"),
    "process_pools": ("concurrent.futures.process",),
}


def install(session: Session) -> None:
    """Install every seam that is not disabled, each when its module is there."""
    for seam, targets in SEAMS.items():
        for target in targets:
            if seam not in session.config.disable and target not in session.config.disable:
                when_imported(target, _installer(seam, session))


def _installer(seam: str, session: Session):  # noqa: ANN202
    def action(module: ModuleType) -> None:
        try:
            import_module(f"clew.probe.seams.{seam}").install(module, session)
        except Exception as error:  # the program goes on without this seam
            report(seam, f"{type(error).__name__}: {error}")

    return action
