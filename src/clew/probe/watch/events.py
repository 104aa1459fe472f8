"""One recorded access: what every note ends in."""

from __future__ import annotations

import sys
from time import monotonic_ns

from clew.format import values
from clew.format.ring import SLOT, SLOT_SIZE
from clew.model.kinds import EventKind, Operation
from clew.probe import buffer
from clew.probe.patching import report
from clew.probe.sites import HIDDEN, tier_of
from clew.probe.watch import summaries
from clew.probe.watch.summaries import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from clew.probe.watch.compiling import Point

READ_ATTRIBUTE = EventKind.STATE_READ | Operation.ATTRIBUTE << 8
WRITE_ATTRIBUTE = EventKind.STATE_WRITE | Operation.ATTRIBUTE << 8
READ_ITEM = EventKind.STATE_READ | Operation.ITEM << 8
WRITE_ITEM = EventKind.STATE_WRITE | Operation.ITEM << 8
READ_GLOBAL = EventKind.STATE_READ | Operation.GLOBAL << 8
WRITE_GLOBAL = EventKind.STATE_WRITE | Operation.GLOBAL << 8

NO_VALUE = (values.NOTHING, 0)
IS_ABSENT = (values.ABSENT, 0)
IS_DELETED = (values.DELETED, 0)
IS_HIDDEN = (values.CONSTANT, values.REDACTED)
CODE_SHIFT = 24
"""Where the codes of the values begin in the last word of a slot: new, then old."""

_OLD_SHIFT = CODE_SHIFT + 4
_pack = SLOT.pack_into
_span = buffer.SPAN.get
_PACKAGE = __file__.rpartition("watch")[0]


class Switch:
    """Whether notes are taken.

    Attributes:
        is_off: They are not, since one failed by our own fault.
    """

    __slots__ = ("is_off",)

    def __init__(self) -> None:
        self.is_off = False


switch = Switch()


def caught(error: BaseException) -> bool:
    """Decide about an exception that came up in a note.

    Our own fault switches the notes off. What a signal handler of the program raised,
    which Python runs wherever it stands, is the program's: it must pass, and its
    traceback must read as if the note was not there.

    Returns:
        Whether to let it pass.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        traceback = traceback.tb_next
    if not isinstance(error, Exception) or not _is_of_the_library(error, traceback):
        error.__traceback__ = traceback
        return True
    if not isinstance(error, RecursionError | MemoryError):  # then the program is at its limit
        switch.is_off = True
        report("watch", f"{type(error).__name__}: {error}")
    return False


def _is_of_the_library(error: Exception, traceback: TracebackType | None) -> bool:
    """Tell whether class and origin of *error* are Python's: no handler of the program raised it.

    One that another thread sent (``PyThreadState_SetAsyncExc``) has no origin, but most
    often a class of its own.
    """
    module: Any = type(error).__module__
    if type(module) is not str or module.partition(".")[0] not in sys.stdlib_module_names:
        return False
    return traceback is None or tier_of(traceback.tb_frame.f_code) == HIDDEN


def summary(value: Any, point: Point) -> tuple[int, int]:
    """Return code and bits of *value*, which stands under the point's name."""
    if point.secret and summaries.redactor.hides(point.name, value):
        return IS_HIDDEN
    return encode(value)


def record(
    what: int, owner: Any, key: Any, point: Point, new: tuple[int, int], old: tuple[int, int] = NO_VALUE
) -> None:
    """Record one access.

    Args:
        what: Kind and operation.
        owner: An ``Owner``, ``Globals`` or ``Held``.
        key: Attribute, global or key of the variable.
        point: Where in the source.
        new: Code and bits of the value that is read or written.
        old: Those of the value that is overwritten.
    """
    if not (point.unit.is_whole or owner.is_wanted(key)):
        return
    span = _span()
    number = owner.slow_numbers.get(key) or owner.variable(key, point)
    if not span or not number:
        return
    seq = buffer.next_number()
    if seq >= buffer.limit:
        seq = buffer.admit(seq)
        if not seq:
            return
    site = point.site or point.meet()
    try:
        state = buffer.local.state
    except AttributeError:
        state = buffer.thread_state()
    _pack(
        buffer.slots,
        (seq & buffer.mask) * SLOT_SIZE,
        monotonic_ns(),
        0,
        old[1],
        new[1],
        number,
        state.scope,
        site,
        span,
        what | new[0] << CODE_SHIFT | old[0] << _OLD_SHIFT,
    )
    state.cursor = seq
