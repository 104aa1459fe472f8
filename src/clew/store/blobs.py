"""Files of the store: segments and artifacts, in a folder, in an S3 bucket, or in memory.

A blob is written once, whole, and never changed. What its key may be is checked here, so that
no request can reach a file outside of the store.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from clew.store.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

KEY = re.compile(r"(?!.*//)(?!.*(?:^|/)\.{1,2}(?:/|$))[a-z0-9._-][a-z0-9/._-]{0,254}(?<!/)", re.ASCII)
_S3_OPTIONS = ("endpoint", "region")
_SCHEMES = ("file", "s3", "memory")


class BlobInfo(NamedTuple):
    """What is known of a blob without reading it."""

    key: str
    size: int
    modified_ns: int


class Blobs:
    """The place of the blobs.

    Attributes:
        shown: The address, to be shown to people: without credentials.
        folder: Of blobs in a folder; else None.

    Every method raises ``StoreUnavailableError`` when the place does not answer or is full, and
    ``StoreError`` for a key that is none. Thread-safe.
    """

    def __init__(self, store: LocalStore | MemoryStore | S3Store, shown: str, folder: Path | None = None) -> None:
        self._store = store
        self.shown = shown
        self.folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the place at *url*.

        Args:
            url: ``file:///PATH`` or a path; ``s3://BUCKET/PREFIX``, with credentials, region and
                endpoint (``AWS_ENDPOINT_URL``) from the environment, or the latter two as
                ``?endpoint=…&region=…``; ``memory://`` for tests.

        Raises:
            StoreError: It has no meaning, or the folder cannot be made.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            return cls._open_folder(Path(url).expanduser())
        if scheme == "file":
            if not rest.startswith("/"):
                raise _bad_url(url, "it names a host", "file:///absolute/path")
            return cls._open_folder(Path(unquote(rest)))
        if scheme == "memory":
            return cls(MemoryStore(), "memory://")
        if scheme == "s3":
            return cls._open_s3(url)
        raise StoreError(
            "store-scheme",
            f"the place of the blobs has the scheme {scheme!r}",
            f"expected one of {', '.join(_SCHEMES)}, or a path",
            "name a folder, or s3://BUCKET/PREFIX",
        )

    @classmethod
    def _open_folder(cls, folder: Path) -> Self:
        folder = folder.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(folder, automatic_cleanup=True), str(folder), folder)
        except (OSError, BaseError) as error:
            raise _bad_url(str(folder), str(error), "a folder that can be written to") from None

    @classmethod
    def _open_s3(cls, url: str) -> Self:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        unknown = sorted(options.keys() - set(_S3_OPTIONS))
        if unknown:
            raise _bad_url(parts.path, f"it has the option {unknown[0]!r}", f"one of {', '.join(_S3_OPTIONS)}")
        if not parts.netloc or "@" in parts.netloc:
            raise _bad_url("s3://…", "it has no bucket, or credentials in it", "s3://BUCKET/PREFIX")
        endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL", "")
        config: S3Config = {}
        if endpoint:
            config["endpoint"] = endpoint
        if "region" in options:
            config["region"] = options["region"]
        client: ClientConfig = {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": "5 seconds",
            "timeout": "60 seconds",
        }
        retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
        shown = f"s3://{parts.netloc}{parts.path}"
        prefix = parts.path.strip("/") or None
        try:
            store = S3Store(parts.netloc, prefix=prefix, config=config, client_options=client, retry_config=retry)
        except (BaseError, ValueError) as error:
            raise _bad_url(shown, str(error), "s3://BUCKET/PREFIX") from None
        return cls(store, shown)

    def put(self, key: str, data: bytes, *, only_if_new: bool = False) -> bool:
        """Write a blob; it is durable when this returns.

        Args:
            key: Its key: ``a-z 0-9 . _ - /``, no empty or dotted-out parts.
            data: Its bytes.
            only_if_new: Leave a blob of that key as it is.

        Returns:
            Whether it was written.
        """
        _check(key)
        with self._talking():
            try:
                obstore.put(self._store, key, data, mode="create" if only_if_new else "overwrite")
            except (AlreadyExistsError, FileExistsError):
                return False
            if self.folder is not None:
                self._sync(self.folder / key)
        return True

    def _sync(self, path: Path) -> None:
        """Wait until a file and its name are on the disk: its writer leaves both to the system.

        Chunks are removed once their segment is written, so a segment must outlive a power failure.
        """
        assert self.folder is not None
        for place in (path, *path.relative_to(self.folder).parents):
            fd = os.open(self.folder / place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def get(self, key: str) -> bytes:
        """Read a blob.

        Raises:
            StoreError: There is none (``blob-missing``).
        """
        _check(key)
        with self._talking(key):
            return bytes(obstore.get(self._store, key).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Read *length* bytes from *start*; fewer, or none, where the blob ends before.

        Raises:
            StoreError: There is none (``blob-missing``).
        """
        length = min(length, self.size(key) - start)
        if length <= 0:
            return b""
        with self._talking(key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def size(self, key: str) -> int:
        """Return how many bytes a blob has.

        Raises:
            StoreError: There is none (``blob-missing``).
        """
        _check(key)
        with self._talking(key):
            return obstore.head(self._store, key)["size"]

    def exists(self, key: str) -> bool:
        """Tell whether there is such a blob."""
        try:
            self.size(key)
        except StoreError as error:
            if error.slug == "blob-missing":
                return False
            raise
        return True

    def delete(self, *keys: str) -> None:
        """Remove blobs; those that do not exist are none."""
        for key in keys:
            _check(key)
        if isinstance(self._store, S3Store):
            with self._talking():
                obstore.delete(self._store, list(keys))
            return
        for key in keys:
            with self._talking():
                try:
                    obstore.delete(self._store, key)
                except FileNotFoundError:
                    continue

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Yield what is known of the blobs below *prefix*, a whole part of their keys."""
        if prefix:
            _check(prefix)
        with self._talking():
            # Its type for answers as Arrow is unknown without the package it needs for them.
            stream: Iterable[Sequence[ObjectMeta]] = obstore.list(self._store, prefix or None)  # pyright: ignore[reportUnknownMemberType]
            for some in stream:
                yield from _infos(some)

    def path(self, key: str) -> Path | None:
        """Return where a blob in a folder stands, for readers of files; None elsewhere."""
        _check(key)
        return None if self.folder is None else self.folder / key

    @contextmanager
    def _talking(self, key: str = "") -> Generator[None]:
        """Turn what the client raises into errors of the store."""
        try:
            yield
        except FileNotFoundError:
            raise StoreError(
                "blob-missing",
                f"{self.shown} does not hold {key}",
                "expected a file that the catalog names",
                "restore it from a backup, together with the catalog",
            ) from None
        except (BaseError, OSError, ValueError) as error:
            lines = str(error).strip().splitlines()
            raise StoreUnavailableError(self.shown, lines[0] if lines else type(error).__name__) from error


def _infos(metas: Sequence[ObjectMeta]) -> Iterator[BlobInfo]:
    for meta in metas:
        yield BlobInfo(meta["path"], meta["size"], int(meta["last_modified"].timestamp() * 1_000_000) * 1_000)


def _check(key: str) -> None:
    if not KEY.fullmatch(key):
        raise StoreError(
            "blob-key",
            f"{key[:80]!r} is no key of a blob",
            "expected parts of a-z, 0-9, '.', '_' and '-' between single slashes",
            "this is a bug of clew's, or somebody tries keys: report the first",
        )


def _bad_url(url: str, found: str, expected: str) -> StoreError:
    return StoreError(
        "store-url", f"the place {url!r} cannot be used: {found}", f"expected {expected}", "correct the address"
    )
