"""Every setting of the HTTP service, checked once at the start and passed down as a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from ...models.errors import SettingsError
from ..images import MAX_PIXELS

MIB, GIB = 1 << 20, 1 << 30
_OWN_NAMES = ("v1", "ui", "docs", "livez", "readyz", "metrics", "openapi.json")
MOST_PIXELS = 1_000_000_000  # of an image, whatever the settings say: three gigabytes once it is decoded
MOST_DECODERS = 256
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Limits:
    """How much one request, and all of them together, may ask for.

    body: bytes of one request. pixels: of one image, width x height. prompts: objects in one request. points: of one
    object. queue: requests admitted at a time; queue_bytes: their bodies and decoded pixels together. deadline: seconds
    a request may take when it does not say (`X-Request-Timeout`), at most longest_deadline. everything: seconds that a
    search for all objects of an image may take.
    """

    body: int = 64 * MIB
    pixels: int = MAX_PIXELS
    prompts: int = 64
    points: int = 64
    queue: int = 64
    queue_bytes: int = GIB
    deadline: float = 30.0
    longest_deadline: float = 120.0
    everything: float = 600.0

    def __post_init__(self) -> None:
        """Refuse limits that nothing could meet."""
        for limit in fields(self):
            if getattr(self, limit.name) <= 0:
                raise SettingsError(f"{limit.name}: expected more than 0, got {getattr(self, limit.name)}")
        if self.longest_deadline < self.deadline:
            raise SettingsError(f"--max-timeout: expected --timeout ({self.deadline:g} seconds) or more")
        if self.queue_bytes < self.body:
            raise SettingsError(f"--queue-memory: expected room for one request of --max-body ({self.body} bytes)")
        if self.pixels > MOST_PIXELS:
            raise SettingsError(f"--max-megapixels: expected at most {MOST_PIXELS / 1e6:g}")


@dataclass(frozen=True)
class Storage:
    """What the server remembers, in bytes and seconds.

    images: for encoded images with their files and decoded pixels; None: a quarter of the free memory, at most 2 GiB.
    masks: for the low-res logits of earlier answers. idle: seconds after which an image nobody asked for is forgotten.
    folder: where the secret lives that ids and cookies are signed with; None: the user's state folder.
    """

    images: int | None = None
    masks: int = 256 * MIB
    idle: float = 3600.0
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Refuse budgets that hold nothing."""
        for name in ("images", "masks", "idle"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingsError(f"{name}: expected more than 0, got {value}")


@dataclass(frozen=True)
class Decoders:
    """The worker processes that decode images: how many, the memory each may take (bytes), and seconds an image."""

    count: int = 2
    memory: int = 3 * GIB
    seconds: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot decode anything."""
        if self.count > MOST_DECODERS:
            raise SettingsError(f"--decoders: expected at most {MOST_DECODERS}, got {self.count}")
        if self.count < 1 or self.memory < 256 * MIB or self.seconds <= 0:
            raise SettingsError("decoders: expected at least 1 process, 256 MiB each, and more than 0 seconds")


@dataclass(frozen=True)
class Access:
    """Who may call. Of the ways to know a caller at most one is chosen; without any, only this machine may call.

    token_file: lines `name:token`. oidc_issuer, oidc_audience, oidc_jwks: a company login whose signed JWTs are
    verified; the key set is a URL or a file, by default what the issuer publishes. identity_header: the name of a
    header in which one of `proxies` (addresses or networks) tells who calls. public: everybody, each browser apart.
    hosts: names this server answers to ("*": any). origins: other web origins whose pages may call.
    """

    token_file: Path | None = None
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks: str | None = None
    identity_header: str | None = None
    public: bool = False
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two ways at once, and a way that lacks a part."""
        chosen = [
            name
            for name, value in (
                ("--token-file", self.token_file),
                ("--oidc-issuer", self.oidc_issuer),
                ("--identity-header", self.identity_header),
                ("--public", self.public),
            )
            if value
        ]
        if len(chosen) > 1:
            raise SettingsError(f"{' and '.join(chosen)}: choose one way to know callers")
        if self.oidc_issuer and not self.oidc_audience:
            raise SettingsError("--oidc-issuer: needs --oidc-audience, or tokens made for others would be accepted")
        if (self.oidc_audience or self.oidc_jwks) and not self.oidc_issuer:
            raise SettingsError("--oidc-audience, --oidc-jwks: need --oidc-issuer")
        if self.identity_header and not self.proxies:
            raise SettingsError("--identity-header: needs --proxy, or anybody could send that header")
        if self.identity_header and not _is_free_header(self.identity_header):
            message = "expected a header's name that means nothing else, such as X-Forwarded-User"
            raise SettingsError(f"--identity-header {self.identity_header!r}: {message}")
        for origin in self.origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
                raise SettingsError(f"--origin: expected scheme://host[:port], got {origin!r}")

    @property
    def mode(self) -> str:
        """ "local", "token", "oidc", "header" or "public"."""
        modes = {
            "token": self.token_file,
            "oidc": self.oidc_issuer,
            "header": self.identity_header,
            "public": self.public,
        }
        return next((mode for mode, value in modes.items() if value), "local")


@dataclass(frozen=True)
class Batches:
    """Batches of photos: what may be worked on, and how much.

    roots: folders below which callers may choose photos and write results. upload: bytes of one upload. photos: of one
    upload; 0: none is taken. disk: bytes of all uploads and of what comes of them. queue: batches that wait for the
    one at work. keep: seconds after its end until a batch is forgotten, and what was uploaded for it.
    """

    roots: tuple[Path, ...] = ()
    upload: int = 2 * GIB
    photos: int = 2000
    disk: int = 8 * GIB
    queue: int = 8
    keep: float = 24 * 3600.0

    def __post_init__(self) -> None:
        """Refuse limits that nothing could meet."""
        for name in ("upload", "queue", "keep"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"--batch-{name}: expected more than 0, got {getattr(self, name)}")
        if self.upload > self.disk:
            raise SettingsError(f"--batch-disk: expected room for an upload of --batch-upload ({self.upload} bytes)")


@dataclass(frozen=True)
class ServeSettings:
    """Where the service listens, and all of the above.

    root_path: the sub-path under which a proxy shows the service, such as "/clickmask"; empty: none.
    drain: seconds between the wish to stop (SIGTERM) and the end for what was admitted.
    project: a folder of photos that the callers work on together, and that keeps the work. batches: see `Batches`.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    drain: float = 30.0
    limits: Limits = field(default_factory=Limits)
    storage: Storage = field(default_factory=Storage)
    decoders: Decoders = field(default_factory=Decoders)
    access: Access = field(default_factory=Access)
    project: Path | None = None
    batches: Batches = field(default_factory=Batches)

    def __post_init__(self) -> None:
        """Refuse an address that others reach while nobody said who may call."""
        if self.access.mode == "local" and not is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host}: other machines could call. Say who may: --token-file FILE, --oidc-issuer URL, "
                "--identity-header NAME with --proxy, or --public for everybody"
            )
        if self.root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.root_path):
            raise SettingsError(
                f"--root-path: expected /something, of letters, digits, . _ ~ -, got {self.root_path!r}"
            )
        if self.root_path.strip("/").split("/")[0] in _OWN_NAMES:  # stripped by the proxy or not? Nobody could tell
            raise SettingsError(f"--root-path: {self.root_path} is the name of a page of the service; choose another")
        if self.project is not None and self.access.public:
            raise SettingsError("--project: not with --public, or anybody at all could change the work in it")
        if self.batches.roots and self.access.public:
            raise SettingsError("--batch-root: not with --public, or anybody at all could read and write there")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"--port: expected 0 to 65535, got {self.port}")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names answered to: those given, else loopback's where only this machine may call, else any."""
        if self.access.hosts:
            return self.access.hosts
        return (*LOOPBACK_HOSTS, self.host) if self.access.mode == "local" else ("*",)


def _is_free_header(name: str) -> bool:
    taken = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "cookie", "authorization", "host")
    return re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is not None and name.lower() not in taken


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks ("10.0.0.7", "10.1.0.0/16"). Raises SettingsError naming the one that is neither."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise SettingsError(
                f"--proxy: expected an address or a network such as 10.1.0.0/16, got {text!r}"
            ) from error
    return tuple(networks)
