"""``ringmesh import``: whole files in, one report out, whatever the lines hold."""

from __future__ import annotations

import asyncio
import csv
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ringmesh.cli.import_users import MAX_TOLD
from ringmesh.cli.user_files import MAX_RECORD, FileFormat, UserFile
from tests.server.api_client import Api, serving
from tests.server.test_commands import answer, ringmesh

CSV = """\
id,login,Full Name,email,tag_list
4001,alice,Alice Ä,a@example.org,"red,green"
4002,,Bob,bob@example.org,
"""
KNOWN = frozenset({"id", "login", "email", "full_name"})


def write(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def run(file: Path, *options: str | Path) -> dict[str, Any]:
    """What an import reports, into the data folder beside the file."""
    result = ringmesh("import", file, "--data", file.parent / "data", "--json", *options)
    assert "Traceback" not in result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == (1 if report["refused"] else 0)
    return report


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    """Created, updated, unchanged, refused."""
    return tuple(report[name] for name in ("created", "updated", "unchanged", "refused"))


def refused(report: dict[str, Any]) -> list[tuple[int, str]]:
    """Line and member of everything that was wrong."""
    return [(error["line"], error["member"]) for error in report["errors"]]


def users(folder: Path) -> dict[str, dict[str, Any]]:
    """The users in the data folder beside the file, by login or e-mail address."""
    found = answer("user", "list", "--data", folder / "data")
    return {user["login"] or user["email"]: user for user in found}


def test_import_again_and_again(tmp_path: Path) -> None:
    """New users are made, the same ones are left alone, changed ones are changed."""
    file = write(tmp_path / "users.csv", CSV)
    assert counts(run(file)) == (2, 0, 0, 0)
    assert counts(run(file)) == (0, 0, 2, 0)
    write(file, CSV.replace("Bob,bob@example.org", "Robert,bob@example.org").replace("Alice Ä", ""))
    assert counts(run(file)) == (0, 1, 1, 0)
    found = users(tmp_path)
    assert found["alice"]["full_name"] == "Alice Ä"  # an empty cell leaves what is there
    assert found["bob@example.org"]["full_name"] == "Robert"
    write(file, "external_id,login\n4001,alicia\n")
    assert counts(run(file)) == (0, 1, 0, 0)
    assert set(users(tmp_path)) == {"alicia", "bob@example.org"}


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    """A dry run reports what would happen, taken values included."""
    answer("user", "add", "alice", "--password", "x", "--data", tmp_path / "data")
    lines = "login,phone\nalice,+1\nbob,+2\nguest_login_1,\n"
    file = write(tmp_path / "users.csv", lines)
    tokens = tmp_path / "tokens.csv"
    report = run(file, "--dry-run", "--tokens", tokens)
    assert report["dry_run"]
    assert counts(report) == (1, 1, 0, 1)
    assert report["one_time_passwords"] == 1
    assert not tokens.exists()
    assert set(users(tmp_path)) == {"alice"}


def test_kept_ids(tmp_path: Path) -> None:
    """Ids of the old service are kept where they are free, and new ones go on after them."""
    file = write(tmp_path / "users.csv", CSV)
    assert counts(run(file, "--keep-ids")) == (2, 0, 0, 0)
    assert counts(run(file, "--keep-ids")) == (0, 0, 2, 0)
    assert users(tmp_path)["alice"]["id"] == 4001
    write(file, "id,login\n4001,other\n0,zero\n3000000000,great\n,none\n4005,alice\n")
    report = run(file, "--keep-ids")
    assert counts(report) == (0, 1, 0, 4)
    assert refused(report) == [(3, "id"), (4, "id"), (5, "id"), (6, "id"), (6, "external_id")]
    answer("user", "add", "carol", "--password", "x", "--data", tmp_path / "data")
    assert users(tmp_path)["carol"]["id"] == 4003
    second = answer("app", "create", "Second", "--data", tmp_path / "data")
    write(file, "id,login\n4002,dave\n")
    assert refused(run(file, "--keep-ids", "--app", str(second["id"]))) == [(2, "id")]


def test_wrong_lines_do_not_stop_it(tmp_path: Path) -> None:
    """Every wrong line is told with its number and member; the right ones are imported."""
    lines = [
        b"login,email,full_name,timezone",
        b"alice,a@example.org,Alice,60",
        b"al,,,",  # 3: too short
        b"bob,nowhere,,",  # 4: no address
        b"ALICE,,,",  # 5: the same as in line 2
        b"carol,A@example.org,,",  # 6: the same as in line 2
        b",,Nobody,",  # 7: neither login nor address
        b"dave,,,soon",  # 8: no number
        b"erin,,",  # 9: too few
        b"frank,,,,,",  # 10: too many
        b"gr\xe4ce,,,",  # 11: Latin-1
        b"heidi,,a\x00b,",  # 12: a control character
        b'"ivan"x,,,',  # 13: bad quoting
        b"",
        b'judy,,"two\nlines",',  # 15: a control character again
        b"mallory,,Mallory,",
        b'oscar,,"never closed,',  # 18
        b"peggy,,,",
    ]
    report = run(write(tmp_path / "users.csv", b"\r\n".join(lines)))
    assert counts(report)[0] == 2
    assert refused(report) == [
        (9, "base"), (10, "base"), (11, "base"), (13, "base"), (18, "base"),
        (3, "login"), (4, "email"), (5, "login"), (6, "email"), (7, "login"), (8, "timezone"),
        (12, "full_name"), (15, "full_name"),
    ]  # fmt: skip
    assert set(users(tmp_path)) == {"alice", "mallory"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "name the columns"),
        (b"name,password2\nx,y\n", "name the columns"),
        (b"login,Login\nx,y\n", "twice"),
        ("login\nalice\n".encode("utf-16"), "UTF-16"),
        (b"login\n" + b"x" * (MAX_RECORD + 1), "line 2"),
    ],
)
def test_files_that_are_not_users(tmp_path: Path, content: bytes, text: str) -> None:
    """A file that cannot be read at all is refused in one line with the code for wrong usage."""
    file = write(tmp_path / "users.csv", content)
    result = ringmesh("import", file, "--data", tmp_path / "data")
    assert result.returncode == 2
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_usage(tmp_path: Path) -> None:
    """Files that are missing, of an unknown kind or in the way are named."""
    file = write(tmp_path / "users.dat", CSV)
    for arguments in ([file], [tmp_path / "no.csv"], [tmp_path, "--format", "csv"],
                      [file, "--format", "csv", "--tokens", file]):  # fmt: skip
        result = ringmesh("import", *arguments, "--data", tmp_path / "data")
        assert result.returncode == 2, arguments
        assert (
            "users.dat" in result.stderr
            or "no.csv" in result.stderr
            or (str(tmp_path) in result.stderr)
        )
        assert "Traceback" not in result.stderr
    assert file.read_text() == CSV


@pytest.mark.parametrize(
    "text",
    [
        '[{"login": "alice"}, {"login": "bob", "id": 7, "created_at": "x", "phone": null}]',
        '{"login": "alice"}\n{"login": "bob", "id": 7}\n',
        '{"limit": 2, "items": [{"login": "alice"}]}\n{"items": [{"login": "bob", "id": 7}]}',
        '{"items": [{"user": {"login": "alice"}},\n {"user": {"login": "bob", "id": 7}}]}',
        '\ufeff[\n  {\n    "login": "alice"\n  },\n  {"login": "bob", "id": "7"}\n]\n',
    ],
)
def test_json_forms(tmp_path: Path, text: str) -> None:
    """A list, one user per line, and the pages that the REST API answers are all understood."""
    file = write(tmp_path / "users.json", text)
    assert counts(run(file)) == (2, 0, 0, 0)
    assert counts(run(file)) == (0, 0, 2, 0)


def test_wrong_json(tmp_path: Path) -> None:
    """A broken line costs that line; what is no user is told."""
    lines = [
        '{"login": "alice"}', '{"login": ', '{"login": "bob"}', '"carol"', "7", "[[[",
        '{"login": ["dave"], "user_tags": [1]}', '{"login": "erin"}', "{" * 100_000,
    ]  # fmt: skip
    report = run(write(tmp_path / "users.jsonl", "\n".join(lines)))
    assert set(users(tmp_path)) == {"alice", "bob", "erin"}
    assert sorted(line for line, _ in refused(report)) == [2, 4, 5, 7, 9]
    for content in (b"\xff\xff", b"{", b'{"login": "' + b"x" * 2 * MAX_RECORD, b'{"a":"\xff"}'):
        report = run(write(tmp_path / "users.json", content))
        assert report["refused"] == 1


def test_endless_refusals_are_counted(tmp_path: Path) -> None:
    """The list of what is wrong is bounded; the count is not."""
    file = write(tmp_path / "users.csv", "login\n" + "x\n" * (MAX_TOLD + 500))
    report = run(file)
    assert report["refused"] == MAX_TOLD + 500
    assert len(report["errors"]) == MAX_TOLD


def test_files_are_not_read_at_once(tmp_path: Path) -> None:
    """Records come while most of the file is still unread."""
    rows = "".join(f"user{number},{number}@example.org\n" for number in range(100_000))
    file = write(tmp_path / "users.csv", "login,email\n" + rows)
    lines = "".join(f'{{"login": "user{number}"}}\n' for number in range(100_000))
    for path, kind in (
        (file, FileFormat.CSV),
        (write(tmp_path / "u.json", lines), FileFormat.JSON),
    ):
        with UserFile(path, kind, KNOWN) as users:
            records = iter(users)
            next(records)
            assert users.position < users.size / 10
            last = None
            for record in records:
                last = record
            assert last is not None
            assert last.members["login"] == "user99999"
            assert last.line == (100_001 if kind is FileFormat.CSV else 100_000)


async def one_time(api: Api, tmp_path: Path) -> dict[str, str]:
    """One-time passwords that an import beside the running server wrote, by login."""
    tokens = tmp_path / "tokens.csv"
    tokens.unlink(missing_ok=True)
    file = write(tmp_path / "users.csv", CSV)
    result = ringmesh_in_thread("import", file, "--data", api.server.data_dir, "--tokens", tokens)
    assert (await result).returncode == 0
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
    with tokens.open(newline="") as rows:
        return {row["login"] or row["email"]: row["password"] for row in csv.DictReader(rows)}


async def ringmesh_in_thread(*arguments: str | Path) -> Any:
    """Run a command that has an event loop of its own."""
    return await asyncio.to_thread(ringmesh, *arguments)


async def test_one_time_passwords(tmp_path: Path) -> None:
    """A one-time password opens one session, in which the user chooses a password."""
    async with serving(tmp_path / "data") as api:
        given = await one_time(api, tmp_path)
        assert set(given) == {"alice", "bob@example.org"}
        alice = {"login": "alice", "password": given["alice"]}
        wrong = await api.session(user={**alice, "password": given["bob@example.org"]})
        assert wrong.status_code == 401
        me = await api.with_session(user=alice)
        assert me.user is not None
        assert me.user["external_id"] == "4001"
        assert me.user["user_tags"] == "red,green"
        assert (await api.session(user=alice)).status_code == 401
        path = f"/users/{me.user['id']}"
        assert (await me.put(path, {"user": {"password": "chosen"}})).status_code == 200
        assert (await me.put(path, {"user": {"password": "again"}})).status_code == 422
        assert (await api.session(user={**alice, "password": "chosen"})).status_code == 201
        again = await one_time(api, tmp_path)  # only for those who have chosen none
        assert set(again) == {"bob@example.org"}
        bob = {"email": "bob@example.org", "password": given["bob@example.org"]}
        assert (await api.session(user=bob)).status_code == 401
        application = await api.with_session()
        login = {"email": "bob@example.org", "password": again["bob@example.org"]}
        assert (await application.post("/login", login)).status_code == 202


async def test_one_time_passwords_are_not_for_the_chat(tmp_path: Path) -> None:
    """What is stored for a one-time password opens no chat, nor does its stored form."""
    async with serving(tmp_path / "data") as api:
        given = await one_time(api, tmp_path)
        accounts = api.server.accounts
        alice = await accounts.users.by(api.application.id, "login", "alice")
        assert alice is not None
        for secret in (given["alice"], "once"):
            with pytest.raises(Exception, match="Unauthorized"):
                await accounts.sign_in.authenticate_chat(
                    alice.application_id, alice.id, secret, "::1"
                )


async def test_one_time_passwords_expire(tmp_path: Path) -> None:
    """After thirty days a one-time password opens nothing."""
    now = 0.0
    async with serving(tmp_path / "data", clock=lambda: now) as api:
        given = await one_time(api, tmp_path)
        now = time.time() + 31 * 86_400
        alice = {"login": "alice", "password": given["alice"]}
        assert (await api.session(user=alice)).status_code == 401
        now -= 2 * 86_400
        assert (await api.session(user=alice)).status_code == 201


async def test_passwords_that_are_known(tmp_path: Path) -> None:
    """A password in the file is the new user's; it replaces nobody's."""
    file = write(tmp_path / "users.csv", "login,password\nalice,one\n")
    async with serving(tmp_path / "data") as api:
        for password in ("one", "two"):
            write(file, f"login,password\nalice,{password}\n")
            await ringmesh_in_thread("import", file, "--data", api.server.data_dir)
        assert (await api.session(user={"login": "alice", "password": "two"})).status_code == 401
        assert (await api.session(user={"login": "alice", "password": "one"})).status_code == 201
