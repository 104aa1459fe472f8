"""The ring file: memory shared by the observed process and the one that writes.

The observed process puts events into fixed-size slots and definitions into a journal,
both in one file on a memory file system. Another process (``clew run`` itself, or a
sidecar) takes them out and writes the stream. So the observed process has no thread of
clew's, encodes and writes nothing, never waits for a disk; and when it is killed, what
it recorded up to that instant is still there to be read.

Layout: a header page, ``capacity`` slots, the journal. A slot is one packed event; its
kind is packed last and is never 0, so a slot whose kind byte is 0 is empty. Journal
records are a head (size, type) and a payload, and wrap around the end. Each header
field has one writer: the first group the observed process, the second the drain.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import zlib

MAGIC = b"CLEWRING"
VERSION = 1
HEADER_SIZE = 4096
PAGE = 4096
LOCK_NAME = ".collector"
"""File in a recording folder that the process which drains its rings holds locked."""

IDENTITY = struct.Struct("<8sHHIQIIQQ")
"""Magic, version, slot size, capacity, process id, pid, reserved, start ticks, journal size."""
FOLDER_OFFSET = 512
FOLDER_LENGTH = struct.Struct("<H")

MEMORY_FOLDERS = ("/dev/shm",)
"""Where ring files are made, in order of preference; the recording folder comes last."""

NUMBER = struct.Struct("<Q")
# Written by the observed process:
JOURNAL_WRITTEN = 64
REFUSED_FROM = 72
REFUSED_TO = 80
STATE = 88
JOURNAL_DROPPED = 96
# Written by the drain:
NEXT_SEQ = 128
JOURNAL_READ = 136
TROUBLE = 144

STATE_OPEN = 0
STATE_ENDED = 1
STATE_EXEC = 2
"""The process is about to become another program, if ``exec`` succeeds."""
TROUBLE_NONE = 0
TROUBLE_NOT_WRITTEN = 1

SLOT = struct.Struct("@QQQQIIIII")
"""t_ns, cause, wait_ns, arg, entity, scope, site, span, then kind | op << 8 | outcome << 16.
Native order, since the ring never leaves the machine: nothing of it needs padding."""
SLOT_SIZE = SLOT.size
KIND_OFFSET = 48
VALUE_OFFSET = 51 if sys.byteorder == "little" else 48
"""The byte beside the outcome: how old and new value of a variable are packed (``values``)."""
ARG_OFFSET = 24
"""Where arg and entity stand side by side: the two fields a step gets when it ends."""

RECORD = struct.Struct("<IB")
"""Head of a journal record: size of the payload, type."""
RECORD_PROCESS = 1
RECORD_ENTITY = 2
RECORD_SITE = 3
RECORD_SPAN = 4
RECORD_ATTRS = 5
RECORD_REMOTE_CAUSE = 6
RECORD_END = 7
RECORD_TEXT = 8


def file_size(capacity: int, journal_size: int) -> int:
    """Return the size of a ring file in bytes."""
    return journal_offset(capacity) + journal_size


def journal_offset(capacity: int) -> int:
    """Return where the journal begins: at the page after the slots."""
    return HEADER_SIZE + (capacity * SLOT_SIZE + PAGE - 1) // PAGE * PAGE


def file_prefix(folder: str) -> str:
    """Return what the names of all ring files of the recording at *folder* begin with."""
    return f"clew-{os.getuid()}-{zlib.crc32(os.fsencode(os.path.abspath(folder))):08x}-"


def file_name(folder: str, pid: int, process_id: int) -> str:
    """Return the name of a ring file of the recording at *folder*."""
    return f"{file_prefix(folder)}{pid}-{process_id:016x}.ring"


def start_ticks(pid: int | str) -> int:
    """Return when process *pid* started, in clock ticks since boot; 0 if it has ended.

    Source: proc(5), field 22 of /proc/PID/stat. The command name may contain spaces and
    brackets, so fields are counted from the last bracket on. A zombie has ended.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in b"ZX" else int(fields[19])


def is_mapped(pid: int, name: str) -> bool:
    """Tell whether process *pid* has the ring file *name* mapped; True if that cannot be known."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return name.encode() in file.read()
    except OSError:
        return True


def is_collected(folder: str) -> bool:
    """Tell whether a collector works on the recording at *folder*."""
    try:
        fd = os.open(os.path.join(folder, LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
