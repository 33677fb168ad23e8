"""Reading users from CSV and JSON files of any length, line by line, whatever is in them."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ringmesh.errors import ConfigurationError

MAX_RECORD = 1024 * 1024
"""Bytes of a line in CSV, characters of a user or a page of users in JSON."""

_CHUNK = 64 * 1024
_BETWEEN = " \t\r\n,[]"


class FileFormat(StrEnum):
    """What a file with users looks like."""

    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Record:
    """One user in a file, or what is wrong with it.

    Attributes:
        line: where it begins, from 1.
    """

    line: int
    members: Mapping[str, Any]
    problem: str | None = None


class UserFile:
    """A file with users; iterate over it, once.

    CSV has names of members in its first line, and commas, semicolons or tabs between them. JSON is
    a list of users, or users one after the other; also pages as the REST API answers them.

    Args:
        known: names of members; a CSV file must have one of them.

    Attributes:
        size: bytes.
        ignored: columns of a CSV file that are not known.
    """

    def __init__(self, path: Path, file_format: FileFormat, known: frozenset[str]) -> None:
        self._format = file_format
        self._known = known
        self.ignored: list[str] = []
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        self.size = path.stat().st_size
        if self._file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self._file.close()
            raise ConfigurationError(f"{path} is in UTF-16: save it in UTF-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return self._file.tell()

    def __iter__(self) -> Iterator[Record]:
        return self._csv() if self._format is FileFormat.CSV else self._json()

    def _csv(self) -> Iterator[Record]:
        lines = self._lines()
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
        names = [_member(name) for name in header]
        self.ignored = [name for name in names if name not in self._known]
        if not self._known.intersection(names):
            wanted = "login, email, id, external_id or full_name"
            raise ConfigurationError(f"the first line must name the columns, such as {wanted}")
        if len(set(names)) < len(names):
            raise ConfigurationError("the first line names a column twice")
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 2
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield Record(line, {}, f"is not valid CSV: {error}")
                continue
            if row is None:
                return
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                yield Record(line, {}, f"has {len(row)} columns, the first line {len(names)}")
            elif not _is_text("".join(row)):
                yield Record(line, {}, "is not UTF-8")
            else:
                yield Record(line, dict(zip(names, row, strict=True)))

    def _lines(self) -> Iterator[str]:
        encoding, number = "utf-8-sig", 0
        while content := self._file.readline(MAX_RECORD):
            number += 1
            if len(content) == MAX_RECORD:
                raise ConfigurationError(f"line {number} has more than {MAX_RECORD} bytes")
            yield content.decode(encoding, "surrogateescape")
            encoding = "utf-8"

    def _json(self) -> Iterator[Record]:
        buffer = _JsonBuffer(self._file)
        while not buffer.at_end():
            line = buffer.line
            try:
                value = buffer.next_value()
            except ValueError as error:
                yield Record(line, {}, str(error))
                continue
            for members in _users(value):
                if isinstance(members, dict):
                    yield Record(line, members)
                else:
                    yield Record(line, {}, "is not an object")


class _JsonBuffer:
    """JSON values one after the other out of a file, of which a part is in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._json = json.JSONDecoder()
        self._buffer = ""
        self._place = 0
        self._ended = False
        self.line = 1

    def at_end(self) -> bool:
        """Whether only blanks, commas and brackets are left; they are skipped."""
        while True:
            place = self._place
            while place < len(self._buffer) and self._buffer[place] in _BETWEEN:
                place += 1
            self._skip_to(place)
            if place < len(self._buffer):
                return False
            if not self._read():
                return True

    def next_value(self) -> Any:
        """The value that begins here.

        Raises:
            ValueError: there is none. What follows begins at the next line that begins with ``{``.
        """
        while True:
            try:
                value, end = self._json.raw_decode(self._buffer, self._place)
            except (ValueError, RecursionError):
                next_one = self._buffer.find("\n{", self._place)
                if next_one >= 0:
                    self._skip_to(next_one + 1)
                    raise ValueError("is not valid JSON") from None
                if len(self._buffer) - self._place > MAX_RECORD or not self._read():
                    self._skip_rest()
                    text = "is not valid JSON, or longer than 1 MiB; what follows was left out"
                    raise ValueError(text) from None
            else:
                self._skip_to(end)
                return value

    def _read(self) -> bool:
        if self._ended:
            return False
        content = self._file.read(_CHUNK)
        self._ended = not content
        self._buffer = self._buffer[self._place :] + self._text.decode(content, self._ended)
        self._place = 0
        return not self._ended

    def _skip_to(self, place: int) -> None:
        self.line += self._buffer.count("\n", self._place, place)
        self._place = place

    def _skip_rest(self) -> None:
        self._buffer, self._place, self._ended = "", 0, True


def _users(value: Any) -> Iterator[Any]:
    """The users in a value: it may be one, ``{"user": …}``, or a page with ``items``."""
    items = value.get("items") if isinstance(value, dict) else None
    for item in items if isinstance(items, list) else [value]:
        wrapped = item.get("user") if isinstance(item, dict) else None
        yield wrapped if isinstance(wrapped, dict) else item


def _member(name: str) -> str:
    """``Full name`` is ``full_name``."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
