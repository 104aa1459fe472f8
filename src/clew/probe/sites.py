"""Where in the program something happens: from a frame to a number, cheaply.

A site is remembered as (code object, instruction offset); its file, line and function
are looked up once, when it is first met. Code is sorted into three tiers: the user's own, installed
libraries, and the standard library with clew itself. The site of an event is the
nearest frame of the user's own code, or else the nearest library frame.
"""

from __future__ import annotations

import itertools
import os
import sys

from clew.probe import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

USER, LIBRARY, HIDDEN, END = 0, 1, 2, 3
"""Tiers; END is hidden code beyond which no walk goes (``end_at``)."""

MAX_CODES = 8192
"""Code objects remembered; beyond it all are forgotten and met anew, so that a program
that compiles code for ever does not make clew keep it for ever."""
MAX_DEPTH = 24
"""Frames looked at for user code: deep library stacks get their library line instead."""

STAND_IN = "<clew>"
"""Name of code of ours that says it is in the user's file, so that a warning points there."""

_next_site = itertools.count(1).__next__
tiers: dict[int, int] = {}
"""Tier by ``id()`` of every code object that was met: the inside of ``tier_of``, for speed."""
_sites: dict[int, dict[int, int]] = {}
_user_sites: dict[int, dict[int, int]] = {}
"""Those of ``_sites`` that belong to user code."""
_steps: dict[int, Any] = {}
"""What a walk finds for code: the dictionary of ``_user_sites`` where it is the user's, else the tier."""
_codes: list[CodeType] = []
_ends: list[CodeType] = []
_getframe: Any = sys._getframe  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the documented way to the caller

_DEPTHS = range(MAX_DEPTH)

_HIDDEN_PREFIXES = tuple(
    {
        os.path.dirname(os.__file__) + os.sep,
        os.path.realpath(os.path.dirname(os.__file__)) + os.sep,
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
        "<frozen ",
    }
)
_SCRIPTS = {os.path.join(sys.prefix, "bin"), os.path.dirname(sys.executable or sys.prefix)}
"""Where installers put the commands of installed packages."""
_LIBRARY_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def tier_of_file(filename: str) -> int:
    """Sort a file name into USER, LIBRARY or HIDDEN."""
    # Library folders lie below the standard library's: they must be looked at first.
    if any(part in filename for part in _LIBRARY_PARTS):
        return HIDDEN if f"{os.sep}clew{os.sep}probe{os.sep}" in filename else LIBRARY
    return HIDDEN if filename.startswith(_HIDDEN_PREFIXES) else USER


def _meet(code: CodeType) -> int:
    """Sort a code object that was not seen before, and remember it."""
    if len(_codes) >= MAX_CODES:
        _codes.clear()
        tiers.clear()
        _steps.clear()
        _sites.clear()
        _user_sites.clear()
    key = id(code)
    _codes.append(code)  # keeps the address from becoming another code's
    offsets = _sites[key] = {}
    if code.co_name == STAND_IN:
        tier = HIDDEN
    elif any(code is end for end in _ends):
        tier = END
    else:
        tier = tier_of_file(code.co_filename)
        if tier == USER:
            tier = _tier_within(code)
    tiers[key] = tier
    if tier == USER:
        _user_sites[key] = offsets
    _steps[key] = offsets if tier == USER else tier
    return tier


def _tier_within(code: CodeType) -> int:
    """Sort code that no folder of Python's claims: not all of it was written by the user."""
    file = code.co_filename
    if file == "<string>" and code.co_qualname.startswith("__create_fn__"):
        return HIDDEN  # a method that `dataclass` wrote
    if code.co_name != "<module>" or os.path.basename(os.path.dirname(file)) != "bin":
        return USER
    # The command of an installed package, as pip writes it: it imports a function and calls
    # it. A program of the user's own may stand in the same folder, but defines something.
    try:
        is_command = os.path.dirname(os.path.abspath(file)) in _SCRIPTS
    except OSError:
        return USER  # the working folder is gone, and the name relative to it
    return LIBRARY if is_command and not any(hasattr(value, "co_code") for value in code.co_consts) else USER


def end_at(code: CodeType) -> None:
    """Let no walk go beyond frames of *code*: what called them does not explain what they do.

    An event loop is such a caller: the line that started it is not where its tasks are.
    """
    _ends.append(code)


def tier_of(code: CodeType) -> int:
    """Return the tier of *code*."""
    tier = tiers.get(id(code))
    return _meet(code) if tier is None else tier


def site_here(depth: int) -> int:
    """Return the site of the nearest user code above the caller.

    Args:
        depth: How many frames above this function to begin: 1 is the caller. Where
            there are fewer, as in a thread that runs a hook itself, the site is 0.
    """
    try:
        frame: FrameType = _getframe(depth)
    except ValueError:
        return 0
    # Most often user code, at a place met before.
    offsets = _user_sites.get(id(frame.f_code))
    if offsets is None:
        return _nearest_site(frame)
    number = offsets.get(frame.f_lasti)
    return site_of(frame) if number is None else number


def _nearest_site(frame: FrameType | None) -> int:
    """Return the site of the nearest user code from *frame* on, or else of a library."""
    # Frames of libraries are the most; each look-up and each comparison counts.
    library: FrameType | None = None
    get_step = _steps.get
    for _ in _DEPTHS:
        if frame is None:
            break
        step = get_step(id(frame.f_code))
        if step == LIBRARY:
            if library is None:
                library = frame
        elif step != HIDDEN:
            if step == END:
                break
            if step is None:
                if _meet(frame.f_code) != USER:
                    continue  # the same frame again, which is known now
                return site_of(frame)
            number = step.get(frame.f_lasti)
            return site_of(frame) if number is None else number
        frame = frame.f_back
    return site_of(library) if library is not None else 0


def user_frame(depth: int) -> FrameType | None:
    """Return the frame ``site_here`` would take as the site, or None."""
    frame: FrameType | None = _getframe(depth)
    library: FrameType | None = None
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        tier = tier_of(frame.f_code)
        if tier == USER:
            return frame
        if tier == LIBRARY:
            library = library or frame
        elif tier == END:
            break
        frame = frame.f_back
    return library


def site_of(frame: FrameType) -> int:
    """Return the site at which *frame* stands."""
    return site_of_code(frame.f_code, frame.f_lasti)


def site_of_code(code: CodeType, offset: int) -> int:
    """Return the site of instruction *offset* of *code* (-1: its first line)."""
    offsets = _sites.get(id(code))
    if offsets is None:
        _meet(code)
        offsets = _sites[id(code)]
    number = offsets.get(offset)
    if number is None:
        number = offsets[offset] = _next_site() & 0xFFFF_FFFF
        journal.write_site((number, code.co_filename, line_of(code, offset), code.co_qualname))
    return number


def define_site(file: str, line: int, function: str) -> int:
    """Give a place in a source file its number; the caller keeps it."""
    number = _next_site() & 0xFFFF_FFFF
    journal.write_site((number, file, line, function))
    return number


def site_of_line(frame: FrameType) -> int:
    """Return the site of the line at which *frame* stands, whatever the instruction.

    Stacks that are taken again and again differ less by it.
    """
    code = frame.f_code
    offsets = _sites.get(id(code))
    if offsets is None:
        _meet(code)
        offsets = _sites[id(code)]
    line = frame.f_lineno or code.co_firstlineno
    key = -1 - line  # no instruction offset, nor the -1 of the first line
    number = offsets.get(key)
    if number is None:
        number = offsets[key] = _next_site() & 0xFFFF_FFFF
        journal.write_site((number, code.co_filename, line, code.co_qualname))
    return number


def line_of(code: CodeType, offset: int) -> int:
    """Return the line of instruction *offset* of *code*, its first line if unknown."""
    if offset >= 0:
        for start, end, line in code.co_lines():
            if start <= offset < end and line is not None:
                return line
    return code.co_firstlineno


def stack_of(frame: FrameType | None, limit: int) -> list[Any]:
    """Return the sites of *frame* and its callers, innermost first, hidden ones left out."""
    stack: list[int] = []
    while frame is not None and len(stack) < limit:
        if tier_of(frame.f_code) < HIDDEN:
            stack.append(site_of(frame))
        frame = frame.f_back
    return stack


def reset() -> None:
    """Forget every site: a forked child defines its sites anew."""
    global _next_site
    _next_site = itertools.count(1).__next__
    _codes.clear()
    tiers.clear()
    _steps.clear()
    _sites.clear()
    _user_sites.clear()
