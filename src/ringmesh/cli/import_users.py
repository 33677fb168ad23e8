"""``ringmesh import``: users out of another service."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ringmesh.cli.accounts import AppOption, application_id, printable, with_accounts
from ringmesh.cli.data_folder import DataOption, JsonOption
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.user_files import FileFormat, Record, UserFile
from ringmesh.errors import ConfigurationError

if TYPE_CHECKING:
    from ringmesh.server.accounts.service import Accounts
    from ringmesh.server.accounts.user_import import Imported, ImportOptions, UserImport

MAX_TOLD = 1000
"""Refused users that are told one by one."""

_COLUMNS = ("id", "external_id", "login", "email", "password")


def import_users(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Users in CSV or JSON.")],
    data: DataOption,
    file_format: Annotated[
        FileFormat | None,
        typer.Option("--format", help="What FILE is. (default: what its name ends with)"),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE",
            help="Make a one-time password for everybody who has none, and write them to this new "
            "file.",
        ),
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="New users get the numeric id in the column id.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")
    ] = False,
    application: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make and change users from a file; again with the same file changes nothing.

    Users are recognised by external_id, login or email. What is wrong with a line is told, and the
    others are imported.
    """
    from ringmesh.server.accounts.user_import import ImportedUser, ImportOptions

    known = frozenset({*ImportedUser.model_fields, "tag_list"} - {"old_password"})
    file_format = file_format or _format_of(file)
    options = ImportOptions(
        keep_ids=keep_ids, one_time_passwords=tokens is not None, dry_run=dry_run
    )

    async def work(accounts: Accounts) -> _Report:
        app_id = await application_id(accounts, application)
        with (
            UserFile(file, file_format, known) as users,
            _TokenFile(None if dry_run else tokens) as token_file,
            closing(accounts.user_import(app_id, options)) as importing,
            _Report(users, as_json) as report,
        ):
            await _import(users, importing, token_file, report)
        return report

    report = with_accounts(data, work, create=not dry_run)
    report.summary(options)
    if report.counts["refused"]:
        raise typer.Exit(ExitCode.FAILED)


async def _import(
    users: UserFile, importing: UserImport, tokens: _TokenFile, report: _Report
) -> None:
    from ringmesh.server.accounts.user_import import BATCH

    for batch in _batches(iter(users), BATCH):
        report.refuse_unread(batch)
        read = [record for record in batch if record.problem is None]
        saved = await importing.save([(record.line, record.members) for record in read])
        tokens.write(saved)
        report.add(read, saved)


class _TokenFile:
    """One-time passwords, in a file that only its owner can read."""

    def __init__(self, path: Path | None) -> None:
        self._file: io.TextIOWrapper | None = None
        if path is not None:
            try:
                number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except OSError as error:
                raise ConfigurationError(f"cannot make {path}: {error.strerror}") from error
            self._file = open(number, "w", newline="", encoding="utf-8")  # noqa: PTH123, SIM115
            csv.writer(self._file).writerow(_COLUMNS)

    def write(self, saved: Sequence[Imported]) -> None:
        """Write those that were made, so that they are not lost whatever happens next."""
        if self._file is None:
            return
        writer = csv.writer(self._file)
        for one in saved:
            if one.user is not None and one.one_time_password is not None:
                user = one.user
                writer.writerow(
                    (user.id, user.external_id, user.login, user.email, one.one_time_password)
                )
        self._file.flush()

    def __enter__(self) -> _TokenFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


class _Report:
    """Progress on standard error, and what came out of it."""

    def __init__(self, users: UserFile, as_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._users = users
        self._as_json = as_json
        self._errors: list[dict[str, Any]] = []
        self._ignored: list[str] = []
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.fields[count]} users"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=max(users.size, 1), count=0)

    def __enter__(self) -> _Report:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._ignored = self._users.ignored

    def refuse_unread(self, records: Sequence[Record]) -> None:
        """Tell what could not be read."""
        for record in records:
            if record.problem is not None:
                self._refuse(record.line, {"base": [record.problem]})

    def add(self, records: Sequence[Record], saved: Sequence[Imported]) -> None:
        """Count what was done, and tell what was refused."""
        for record, one in zip(records, saved, strict=True):
            if one.errors is not None:
                self._refuse(record.line, one.errors)
            else:
                self.counts[one.outcome.value] += 1
            self.counts["one_time_passwords"] += one.one_time_password is not None
        read = self._users.position
        self._progress.update(self._task, completed=read, count=self._total())

    def summary(self, options: ImportOptions) -> None:
        """The result, on standard output."""
        names = ("created", "updated", "unchanged", "refused", "one_time_passwords")
        counts = {name: self.counts[name] for name in names}
        if self._as_json:
            facts = {"dry_run": options.dry_run, **counts, "ignored_columns": self._ignored}
            print(json.dumps({**facts, "errors": self._errors}))
            return
        if self._ignored:
            print(f"ignored columns: {printable(', '.join(self._ignored))}")
        if options.dry_run:
            print("nothing was changed; this is what would happen:")
        for name, count in counts.items():
            print(f"{name.replace('_', ' '):<20}{count}")

    def _refuse(self, line: int, errors: Mapping[str, Sequence[str]]) -> None:
        self.counts["refused"] += 1
        if self.counts["refused"] > MAX_TOLD:
            return
        for name, texts in errors.items():
            for text in texts:
                self._errors.append({"line": line, "member": name, "text": text})
                subject = "" if name == "base" else f"{name} "
                if not self._as_json:
                    told = f"line {line}: {subject}{text}"
                    self._progress.console.print(printable(told), markup=False)
        if self.counts["refused"] == MAX_TOLD and not self._as_json:
            self._progress.console.print("further refusals are only counted")

    def _total(self) -> int:
        return sum(self.counts[name] for name in ("created", "updated", "unchanged", "refused"))


def _format_of(file: Path) -> FileFormat:
    match file.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            return FileFormat.CSV
        case ".json" | ".jsonl" | ".ndjson":
            return FileFormat.JSON
        case _:
            raise ConfigurationError(f"say what {file} is: --format csv or --format json")


def _batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, size)):
        yield batch
