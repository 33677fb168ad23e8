"""The store that agent and application share, in one process and in many."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ringmesh.callkit import CallState
from ringmesh.callkit.store import MAX_AGE, MAX_CALLS, CallStore, Ringer, What
from ringmesh.errors import InvalidStateError
from tests.callkit.events import EVENT

SESSION = EVENT.session_id


@pytest.fixture
def store(tmp_path: Path) -> CallStore:
    """An empty store."""
    return CallStore(tmp_path / "state" / "phone.sqlite3")


def test_a_call_rings_once(store: CallStore) -> None:
    """Who begins first rings; what was declined never rings again."""
    assert store.state(SESSION) is CallState.UNKNOWN
    assert store.begin(EVENT, Ringer.AGENT)
    assert not store.begin(EVENT, Ringer.APPLICATION)
    assert (store.state(SESSION), store.ringer(SESSION)) == (CallState.PENDING, Ringer.AGENT)
    store.set_state(SESSION, CallState.REJECTED)
    assert not store.begin(EVENT, Ringer.AGENT, instead_of=Ringer.AGENT)


def test_a_ringer_that_is_gone_is_replaced(store: CallStore) -> None:
    """The claim of a process that ended counts no more, while its call rings."""
    assert store.begin(EVENT, Ringer.AGENT)
    assert store.begin(EVENT, Ringer.AGENT, instead_of=Ringer.AGENT)
    assert not store.begin(EVENT, Ringer.AGENT, instead_of=Ringer.APPLICATION)


def test_states_change_only_from_where_they_may(store: CallStore) -> None:
    """A change that came too late changes nothing."""
    store.set_state(SESSION, CallState.ACCEPTED)
    assert not store.set_state(SESSION, CallState.REJECTED, only_from=[CallState.PENDING])
    assert store.state(SESSION) is CallState.ACCEPTED


def test_what_is_known_of_calls(store: CallStore) -> None:
    """Data, the last call, and what was accepted lately; clearing leaves the state."""
    other = EVENT.copy_with(session_id="other")
    assert store.last_call_id() is None
    store.begin(EVENT, Ringer.AGENT)
    store.begin(other, Ringer.AGENT)
    assert store.last_call_id() == "other"
    assert store.event(SESSION) == EVENT
    store.set_state("other", CallState.ACCEPTED)
    assert store.accepted_since(60) == [other]
    store.clear("other")
    assert (store.event("other"), store.state("other")) == (None, CallState.ACCEPTED)


def test_signals_are_handed_over_once_and_never_after_the_end(store: CallStore) -> None:
    """Whoever answers gets the signals, in order; the end of the call deletes them."""
    store.begin(EVENT, Ringer.AGENT)
    store.hand_over(SESSION, ["one", "two"])
    assert store.take_over(SESSION) == ["one", "two"]
    assert store.take_over(SESSION) == []
    store.hand_over(SESSION, ["one"])
    store.set_state(SESSION, CallState.REJECTED)
    assert store.take_over(SESSION) == []


def test_happenings_are_told_once(store: CallStore) -> None:
    """What the application missed comes in order, once."""
    store.tell_later(What.INCOMING, EVENT)
    store.tell_later(What.REJECTED, EVENT)
    assert [happening.what for happening in store.untold()] == [What.INCOMING, What.REJECTED]
    assert store.untold() == []


def test_it_stays_small(tmp_path: Path) -> None:
    """Calls are forgotten after a day, and beyond two hundred."""
    now = 1000.0
    store = CallStore(tmp_path / "phone.sqlite3", clock=lambda: now)
    for number in range(MAX_CALLS + 10):
        now += 1
        store.begin(EVENT.copy_with(session_id=f"call-{number}"), Ringer.AGENT)
    assert store.state("call-0") is CallState.UNKNOWN
    assert store.state("call-15") is CallState.PENDING
    now += MAX_AGE + 60
    store.begin(EVENT, Ringer.AGENT)
    assert store.state("call-100") is CallState.UNKNOWN


def test_only_its_user_can_read_it(store: CallStore) -> None:
    """Offers lie in the file: nobody else may open it."""
    store.begin(EVENT, Ringer.AGENT)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["text", "half", "middle"])
def test_a_broken_file_is_put_aside(store: CallStore, damage: str) -> None:
    """A file that is no database any more is kept beside, and a new one begun."""
    for number in range(100):
        store.begin(EVENT.copy_with(session_id=f"call-{number}"), Ringer.AGENT)
    store.close()
    data = store.path.read_bytes()
    half = len(data) // 2
    broken = {"text": b"no database", "half": data[:half], "middle": b"\xff" * 4096}[damage]
    if damage == "middle":
        broken = data[:4096] + broken * (half // 4096) + data[-4096:]
    store.path.write_bytes(broken)
    assert store.begin(EVENT, Ringer.AGENT)
    assert store.path.with_suffix(".broken").read_bytes() == broken


@pytest.mark.parametrize("where", ["a folder", "below a file"])
def test_a_path_that_cannot_be_used(tmp_path: Path, where: str) -> None:
    """A clear error says which file, and what is wrong."""
    path = tmp_path / "phone.sqlite3"
    if where == "a folder":
        path.mkdir()
    else:
        path.write_text("")
        path = path / "phone.sqlite3"
    with pytest.raises(InvalidStateError, match="phone"):
        CallStore(path).begin(EVENT, Ringer.AGENT)


_FULL = """
import resource, sys
from pathlib import Path
from ringmesh.callkit.store import CallStore, Ringer, attempt
from ringmesh.errors import InvalidStateError
from tests.callkit.events import EVENT
store = CallStore(Path(sys.argv[1]))
assert store.begin(EVENT, Ringer.AGENT)
size = store.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    for number in range(200):
        store.begin(EVENT.copy_with(session_id=f"call-{number}"), Ringer.AGENT)
except InvalidStateError as error:
    print("refused:", error)
assert attempt(lambda: store.begin(EVENT.copy_with(session_id="next"), Ringer.AGENT), True)
print(store.state(EVENT.session_id))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """A write that finds no room is a clear error, what was there stays, and calls ring on."""
    result = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "phone.sqlite3")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "refused: calls cannot be kept in" in result.stdout
    assert result.stdout.endswith("pending\n")


_RACE = """
import sys
from pathlib import Path
from ringmesh.callkit.store import CallStore, Ringer
from tests.callkit.events import EVENT
store = CallStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = [n for n in range(100) if store.begin(EVENT.copy_with(session_id=f"s{n}"), Ringer.AGENT)]
print(*won)
"""


def test_of_many_processes_one_wins(tmp_path: Path) -> None:
    """Four processes claim a hundred calls at once: each call rings in exactly one of them."""
    command = [sys.executable, "-c", _RACE, str(tmp_path / "phone.sqlite3")]
    racers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [int(number) for racer in racers for number in racer.communicate()[0].split()]
    assert sorted(won) == list(range(100))
