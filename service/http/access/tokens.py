"""The token file: lines `name:token`, read again when it changes."""

from __future__ import annotations

import hmac
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from starlette.types import Scope

from ....models.errors import SettingsError
from ..secret import sign
from .attempts import Attempts
from .callers import unauthenticated
from .sign_in import Credential

_LOG = logging.getLogger("clickmask.access.tokens")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOKEN = re.compile(r"[!-~]{16,512}")
_PAUSE = 1.0  # seconds between two looks at the file

_Stamp = tuple[int, ...] | None


class TokenFile:
    """Who has which token.

    Read again when it changes, looked at once a second at most, so that a token taken out stops working, and the
    cookies made from it too. A file that broke meanwhile is reported in the log; what the last good one said goes on.
    Tokens are not kept, only digests of them.
    """

    hint = "Paste the token that you were given for this service."

    def __init__(self, file: Path, secret: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingsError: the file is missing, malformed, empty, or everybody can read it."""
        self._file, self._secret, self._clock = file, secret, clock
        self._attempts = Attempts(clock)
        self._stamp, self._looked = _stamp(file), clock()
        self._digests = self._read()
        if not self._digests:
            raise SettingsError(f"{file}: expected lines name:token, got none, so nobody could call")

    async def verify(self, token: str, scope: Scope) -> Credential:
        """Whose token that is. Raises ApiError: 401, or 429 for an address that tried too many."""
        self._look()
        given, found = self._digest(token), None
        for name, digest in self._digests.items():  # all of them: the time taken must not tell how near a guess came
            if hmac.compare_digest(given, digest):
                found = name
        if found is None:  # good tokens pass: an address is shared by many, and nobody guesses one of theirs
            self._attempts.check(scope)
            self._attempts.failed(scope, given)
            raise unauthenticated("that token is not, or no longer, valid here")
        return Credential(f"token:{found}", given.hex())

    def holds(self, credential: Credential) -> bool:
        """Whether a cookie made from that still counts: the caller has the same token as then."""
        self._look()
        kind, _, name = credential.caller.partition(":")
        digest = self._digests.get(name)
        return kind == "token" and digest is not None and hmac.compare_digest(digest.hex(), credential.mark)

    def _look(self) -> None:
        if self._clock() - self._looked < _PAUSE:
            return
        self._looked = self._clock()
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = self._read()
            _LOG.info("the token file was read again: %d tokens", len(self._digests))
        except SettingsError as error:
            _LOG.error("the token file changed and is not usable; the former tokens go on: %s", error)

    def _read(self) -> dict[str, bytes]:
        return {name: self._digest(token) for name, token in parse_tokens(self._file).items()}

    def _digest(self, token: str) -> bytes:
        # Keyed, so that a cookie does not help to guess a token.
        return sign(self._secret, "token", token)[:16]


def parse_tokens(file: Path) -> dict[str, str]:
    """Name -> token. Raises SettingsError naming file and line, never what stands there."""
    try:
        with file.open("rb") as stream:
            mode, data = os.fstat(stream.fileno()).st_mode, stream.read()
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"--token-file {file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"--token-file {file}: expected UTF-8 text") from error
    if os.name == "posix" and mode & 0o007:
        raise SettingsError(f"--token-file {file}: every user of this machine can read it; run: chmod o= '{file}'")
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, token = _parse_line(line.strip(), f"--token-file {file}, line {number}")
            if name in tokens or token in tokens.values():
                raise SettingsError(f"--token-file {file}, line {number}: this name or token stands further up too")
            tokens[name] = token
    return tokens


def _parse_line(line: str, place: str) -> tuple[str, str]:
    name, _, token = line.partition(":")
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{place}: expected name:token, the name 1 to 64 of A-Z a-z 0-9 . _ -")
    if not _TOKEN.fullmatch(token):
        raise SettingsError(f"{place}: expected a token of 16 to 512 printable ASCII characters without spaces")
    return name, token


def _stamp(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
