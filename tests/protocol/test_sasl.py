"""SASL messages, with the examples of the RFCs."""

from __future__ import annotations

import base64

import pytest

from ringmesh.errors import ProtocolError
from ringmesh.protocol.sasl import ScramCredentials, ScramExchange, ScramKeys, scram_keys


def encoded(text: str) -> str:
    """Text as it travels."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    """What travelled."""
    return base64.b64decode(text).decode()


SALT_1 = base64.b64decode("QSXCR+Q6sek8bf92")
FIRST = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
NONCE = "3rfcNHYJY1ZVvWVs7j"
BOTH = f"fyko+d2lbbFgONRv9qkxdawL{NONCE}"
PROOF = f"c=biws,r={BOTH},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="


def credentials(*secrets: str) -> ScramCredentials:
    """The keys of some secrets, with the salt of RFC 5802."""
    return ScramCredentials(
        SALT_1, 4096, tuple(scram_keys("sha1", secret, SALT_1, 4096) for secret in secrets)
    )


def challenged(*secrets: str, first: str = FIRST, nonce: str = NONCE) -> ScramExchange:
    """An exchange that waits for the client's proof."""
    exchange = ScramExchange("SCRAM-SHA-1", encoded(first))
    exchange.challenge(credentials(*secrets), nonce)
    return exchange


def test_the_example_of_rfc_5802() -> None:
    """SCRAM-SHA-1, section 5 of the RFC."""
    exchange = ScramExchange("SCRAM-SHA-1", encoded(FIRST))
    assert (exchange.local_part, exchange.identity) == ("user", "")
    challenge = decoded(exchange.challenge(credentials("pencil"), NONCE))
    assert challenge == f"r={BOTH},s=QSXCR+Q6sek8bf92,i=4096"
    success = exchange.verify(encoded(PROOF))
    assert success is not None
    assert decoded(success) == "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="


def test_the_example_of_rfc_7677() -> None:
    """SCRAM-SHA-256, section 3 of the RFC."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    keys = scram_keys("sha256", "pencil", salt, 4096)
    exchange = ScramExchange("SCRAM-SHA-256", encoded("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
    exchange.challenge(ScramCredentials(salt, 4096, (keys,)), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    success = exchange.verify(
        encoded(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
    )
    assert success is not None
    assert decoded(success) == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_any_of_several_secrets_is_right() -> None:
    """A user logs in with the password or with a session token."""
    assert challenged("token", "pencil", "other").verify(encoded(PROOF)) is not None
    assert challenged("token", "other").verify(encoded(PROOF)) is None
    assert challenged().verify(encoded(PROOF)) is None


def test_a_recorded_proof_is_worth_nothing() -> None:
    """The server's nonce is another one each time."""
    assert challenged("pencil", nonce="another0another0").verify(encoded(PROOF)) is None
    replaced = PROOF.replace(BOTH, "fyko+d2lbbFgONRv9qkxdawLanother0another0")
    assert challenged("pencil", nonce="another0another0").verify(encoded(replaced)) is None


@pytest.mark.parametrize(
    "first",
    [
        "",
        "p=tls-unique,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "n,,n=,r=fyko+d2lbbFgONRv9qkxdawL",
        "n,,n=user,r=",
        "n,,m=x,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "n,,n=us=er,r=fyko+d2lbbFgONRv9qkxdawL",
        "n,,r=fyko+d2lbbFgONRv9qkxdawL,n=user",
        "n,,n=user,r=short",
    ],
)
def test_a_broken_first_message_is_refused(first: str) -> None:
    """Channel binding, extensions that must be understood, and nonsense."""
    with pytest.raises(ProtocolError, match="malformed-request"):
        ScramExchange("SCRAM-SHA-1", encoded(first))


@pytest.mark.parametrize(
    "final",
    [
        "",
        PROOF.replace("biws", encoded("y,,")),
        PROOF.replace("biws", "!"),
        PROOF.partition(",p=")[0],
        PROOF.partition("=v0X")[0] + "=?",
    ],
)
def test_a_broken_proof_is_refused(final: str) -> None:
    """Another channel binding than at first, no proof, no base64."""
    with pytest.raises(ProtocolError, match=r"malformed-request|incorrect-encoding"):
        challenged("pencil").verify(encoded(final))


def test_a_proof_of_another_length_is_wrong() -> None:
    """It is compared as a whole or not at all."""
    short = PROOF.partition(",p=")[0] + ",p=" + base64.b64encode(b"x").decode()
    assert challenged("pencil").verify(encoded(short)) is None


def test_escapes_in_names() -> None:
    """Comma and equals sign are escaped in names (RFC 5802 section 5.1)."""
    exchange = challenged("pencil", first="y,a=b=2Cc,n=x=3Dy,r=fyko+d2lbbFgONRv9qkxdawL")
    assert (exchange.identity, exchange.local_part) == ("b,c", "x=y")


def test_keys_do_not_show_themselves() -> None:
    """Nothing of a key gets into a log by its repr."""
    assert repr(ScramKeys(b"a", b"b")) == "ScramKeys(...)"
