"""Tables read a row group and a column at a time, every page checked.

A table of a million episodes is hundreds of megabytes, of which a loader needs three columns. The
footer is checked against the version's hash of it, and pages against their own checksums; small
tables are read and checked whole.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from simgen.store import writer
from simgen.store.objects import Objects
from simgen.store.shard import IntegrityError

WHOLE_BYTES = 1 << 20  # up to this, one request that reads all is quicker
GROUPS_KEPT = 4  # decoded, for look-ups of neighbouring rows
NAMES = (  # text that repeats from row to row
    "family", "engine", "split", "bucket", "outcome", "channels", "kind", "body_a", "body_b",
)  # fmt: skip
MEND = "run `simgen repair` to mend it"


def describe(data: bytes) -> dict:
    """What a version says of a table's object: bytes and hash, of all and of its footer."""
    footer = data[-int.from_bytes(data[-8:-4], "little") - 8 :]
    return {
        **writer.describe(data),
        "footer_bytes": len(footer),
        "footer_xxh3": writer.digest(footer),
    }


def open_table(objects: Objects, told: dict) -> Table:
    """A published table; see `describe` for what is told of it.

    Raises:
        IntegrityError: It is missing, or not what was published.
    """
    place = f"{told['key']} of {objects.url}"
    lazy = told["bytes"] > WHOLE_BYTES
    name = "footer_bytes" if lazy else "bytes"
    try:
        data = objects.get_range(told["key"], told["bytes"] - told[name], told[name] + 1)
    except FileNotFoundError:
        data = b""
    if len(data) != told[name] or writer.digest(data) != told[name.replace("bytes", "xxh3")]:
        raise IntegrityError(f"{place} is not the one that was published; {MEND}")
    return Table(_Ranges(objects, told["key"], told["bytes"], data) if lazy else data, place)


class Table:
    """A Parquet table. Safe in threads."""

    def __init__(self, source: bytes | io.RawIOBase, place: str = "table"):
        self.place, self._lock = place, Lock()
        source = pa.BufferReader(source) if isinstance(source, bytes) else source
        with self._checked():
            metadata = pq.ParquetFile(source, pre_buffer=False).metadata
            names = metadata.schema.to_arrow_schema().names
            self._file = pq.ParquetFile(
                source, metadata=metadata, page_checksum_verification=True, pre_buffer=False,
                read_dictionary=[name for name in NAMES if name in names],
            )  # fmt: skip
        self.columns, self.rows = tuple(names), metadata.num_rows
        self.groups = self._file.num_row_groups if self.rows else 0
        self._kept = lru_cache(GROUPS_KEPT)(self._read)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One row group, of all columns by default. NAMES come dictionary-encoded.

        Raises:
            IntegrityError: Its bytes are not what was published.
        """
        return self._read(group, None if columns is None else tuple(columns))

    def scan(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Every row group."""
        return (self.read(group, columns) for group in range(self.groups))

    def where(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of the episode with that index: none, one, or its events."""
        wanted = None if columns is None else tuple(dict.fromkeys(("index", *columns)))
        found = []
        for group in range(bisect_left(self._last, index), self.groups):
            rows = self._kept(group, wanted)
            indices = rows["index"].to_numpy()
            start, stop = indices.searchsorted([index, index + 1])
            found.append(rows.slice(start, stop - start))
            if stop < len(indices):
                break
        if not found:
            return self._file.schema_arrow.empty_table()
        table = pa.concat_tables(found)
        plain = [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type)
                 else field for field in table.schema]  # fmt: skip
        return table.cast(pa.schema(plain))

    @cached_property
    def _last(self) -> list[int]:
        """Largest index of each group: rows are sorted by it."""
        metadata = self._file.metadata
        column = next(
            i for i in range(metadata.num_columns) if metadata.schema.column(i).path == "index"
        )
        return [
            metadata.row_group(group).column(column).statistics.max for group in range(self.groups)
        ]

    def _read(self, group: int, columns: tuple[str, ...] | None) -> pa.Table:
        # Arrow's thread pool, once started, can abort a short process at its exit (26.0)
        with self._lock, self._checked():
            rows = self._file.read_row_group(group, columns=columns, use_threads=False)
            rows.validate(full=True)  # page headers have no checksum, and can shorten a dictionary
            return rows

    def _checked(self) -> _Checked:
        return _Checked(self.place)


class _Checked:
    """Parquet's own complaints, and those of its page checksums, as errors of integrity."""

    def __init__(self, place: str):
        self.place = place

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError | pa.ArrowException):
            raise IntegrityError(
                f"{self.place} is not the one that was published ({error}); {MEND}"
            ) from None


class _Ranges(io.RawIOBase):
    """An object as a file, of which only what is asked for is read; the footer is there already."""

    def __init__(self, objects: Objects, key: str, size: int, footer: bytes):
        self.objects, self.key, self.bytes, self.footer = objects, key, size, footer
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + (0, self.place, self.bytes)[whence]
        return self.place

    def read(self, count: int = -1) -> bytes:
        count = self.bytes - self.place if count < 0 else min(count, self.bytes - self.place)
        start = self.place - (self.bytes - len(self.footer))
        data = (
            self.footer[start : start + count]
            if start >= 0
            else self.objects.get_range(self.key, self.place, count)
        )
        self.place += len(data)
        return data
