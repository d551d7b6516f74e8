"""The token file: read strictly, read again when it changes, and no place to guess at."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from calling import app_behind, ask, bearer, cookie_of

from clickmask.models.errors import SettingsError
from clickmask.service.http.access import attempts
from clickmask.service.http.access.attempts import GUESSES, WINDOW
from clickmask.service.http.access.sign_in import SignInCallers
from clickmask.service.http.access.tokens import TokenFile, parse_tokens

SECRET = b"s" * 32
ANN, BOB = "ann-has-a-long-token", "bob-has-another-token"


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens", f"ann:{ANN}\nbob:{BOB}\n")


def write(file: Path, text: str | bytes, mode: int = 0o600) -> Path:
    """Put a file in place as a careful editor does, at once."""
    draft = file.with_suffix(".draft")
    draft.write_bytes(text.encode() if isinstance(text, str) else text)
    draft.chmod(mode)
    os.replace(draft, file)
    return file


def test_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", f"# who\n\n  ann:{ANN}  \r\n\t\nA.b_c-9:with:colons:in:it\n")
    assert parse_tokens(file) == {"ann": ANN, "A.b_c-9": "with:colons:in:it"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"ann:{ANN}\nbob secret-without-colon", 2),
        ("ann:fifteen-letters", 1),
        (f"an n:{ANN}", 1),
        (f":{ANN}", 1),
        (f"{'a' * 65}:{ANN}", 1),
        (f"ann:{ANN} {ANN}", 1),
        ("ann:long-enough-but-é", 1),
        (f"ann:{'x' * 513}", 1),
        (f"ann:{ANN}\n\nann:{BOB}", 3),
        (f"ann:{ANN}\nbob:{ANN}", 2),
    ],
)
def test_a_malformed_line_is_named_by_its_number_alone(tmp_path: Path, text: str, line: int) -> None:
    file = write(tmp_path / "tokens", text)
    with pytest.raises(SettingsError, match=rf"line {line}:") as caught:
        parse_tokens(file)
    assert not any(word in str(caught.value) for word in (ANN, BOB, "secret", "fifteen", "xxx", "bob", "aaa"))


@pytest.mark.parametrize(("content", "message"), [(b"\xff\xfe", "UTF-8"), (b"# nobody\n", "nobody could call")])
def test_a_file_without_any_token_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TokenFile(write(tmp_path / "tokens", content), SECRET)


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o640, True), (0o644, False), (0o602, False)])
def test_a_file_that_everybody_can_reach_is_refused(tmp_path: Path, mode: int, good: bool) -> None:
    file = write(tmp_path / "tokens", f"ann:{ANN}", mode)
    if good:
        assert parse_tokens(file)
    else:
        with pytest.raises(SettingsError, match="chmod o="):
            parse_tokens(file)


def test_a_token_taken_out_stops_working_and_its_cookie_too(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    cookies = {token: cookie_of(ask(app, "/v1/session", method="POST", json={"token": token})) for token in (ANN, BOB)}
    write(file, f"bob:{BOB}")
    assert ask(app, headers=bearer(ANN)).status_code == 200  # within the second between two looks
    clock.now += 1
    assert ask(app, headers=bearer(ANN)).status_code == 401
    assert ask(app, headers=cookies[ANN]).status_code == 401
    assert ask(app, headers=bearer(BOB)).json()["caller"] == "token:bob"
    assert ask(app, headers=cookies[BOB]).json()["caller"] == "token:bob"


def test_a_new_token_of_the_same_name_ends_the_former_sign_in(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    cookie = cookie_of(ask(app, "/v1/session", method="POST", json={"token": ANN}))
    write(file, "ann:ann-has-a-fresh-token")
    clock.now += 1
    assert ask(app, headers=cookie).status_code == 401
    assert ask(app, headers=bearer("ann-has-a-fresh-token")).status_code == 200


@pytest.mark.parametrize("broken", ["ann:short", b"\xff", None])
def test_a_file_that_broke_leaves_the_former_tokens_and_says_so_once(
    file: Path, clock: Clock, broken: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    if broken is None:
        file.unlink()
    else:
        write(file, broken)
    for _ in range(3):
        clock.now += 1
        assert ask(app, headers=bearer(ANN)).status_code == 200
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1 and "former tokens go on" in errors[0].getMessage()
    write(file, f"bob:{BOB}")
    clock.now += 1
    assert ask(app, headers=bearer(ANN)).status_code == 401


def test_an_emptied_file_lets_nobody_in(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    write(file, "# all gone\n")
    clock.now += 1
    assert ask(app, headers=bearer(ANN)).status_code == 401


def test_who_guesses_has_to_wait_and_others_do_not(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    cookie = cookie_of(ask(app, "/v1/session", method="POST", json={"token": ANN}))
    for number in range(GUESSES):
        clock.now += 1
        guess = f"a-guess-of-number-{number}"
        if number % 2:
            answer = ask(app, headers=bearer(guess), peer="10.0.0.5")
        else:
            answer = ask(app, "/v1/session", method="POST", json={"token": guess}, peer="10.0.0.5")
        assert answer.status_code == 401
    answer = ask(app, headers=bearer("one-guess-too-many"), peer="10.0.0.5")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_attempts")
    assert answer.headers["retry-after"] == "51"  # the first guess was made nine seconds ago
    assert ask(app, headers=bearer(ANN), peer="10.0.0.5").status_code == 200, "an address is shared by many"
    assert ask(app, "/v1/session", method="POST", json={"token": ANN}, peer="10.0.0.5").status_code == 200
    assert ask(app, headers=cookie, peer="10.0.0.5").status_code == 200
    assert ask(app, headers=bearer(ANN), peer="10.0.0.6").status_code == 200
    clock.now += WINDOW - GUESSES + 1
    assert ask(app, headers=bearer(ANN), peer="10.0.0.5").status_code == 200


def test_the_same_wrong_token_again_is_no_guess(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    assert {ask(app, headers=bearer("revoked-long-ago-1")).status_code for _ in range(3 * GUESSES)} == {401}
    assert ask(app, headers=bearer(ANN)).status_code == 200


def test_a_household_with_many_addresses_is_one_guesser(file: Path, clock: Clock) -> None:
    app = app_behind(SignInCallers(TokenFile(file, SECRET, clock), SECRET))
    for number in range(GUESSES):
        ask(app, headers=bearer(f"a-guess-of-number-{number}"), peer=f"2001:db8::{number}")
    assert ask(app, headers=bearer(ANN), peer="2001:db8::ffff:1").status_code == 200
    assert ask(app, headers=bearer(ANN), peer="2001:db8:0:1::1").status_code == 200


def test_guessers_are_remembered_in_bounded_memory(clock: Clock) -> None:
    counted = attempts.Attempts(clock)
    for number in range(5000):
        counted.failed({"client": (f"10.{number >> 8}.{number & 255}.1", 1)}, b"guess")
    assert len(counted._wrong) == attempts._ADDRESSES
