"""What a browser sees that opens a page and is nobody yet: where to put the token. One file: nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.datastructures import Headers
from starlette.types import Scope, Send

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1c2126; --dim: #5b6670; --line: #8a949e; --act: #0b5cad;
  --on-act: #fff; --bad: #a3231b; }
@media (prefers-color-scheme: dark) { :root { --back: #15181c; --ink: #e6eaee; --dim: #a3aeb9; --line: #78838e;
  --act: #7db7f2; --on-act: #10151a; --bad: #ff9d94; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--back);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: min(24rem, 100%); }
h1 { margin: 0; font-size: 1.5em; }
p { margin: 0.4em 0 1.4em; color: var(--dim); }
label { display: block; margin-bottom: 0.3em; font-weight: 600; }
input, button { width: 100%; padding: 0.65em 0.8em; border: 1px solid var(--line); border-radius: 6px; font: inherit; }
input { background: var(--back); color: var(--ink); }
input[aria-invalid="true"] { border-color: var(--bad); }
button { margin-top: 0.8em; border-color: var(--act); background: var(--act); color: var(--on-act); font-weight: 600;
  cursor: pointer; }
button:disabled { opacity: 0.6; cursor: default; }
:focus-visible { outline: 2px solid var(--act); outline-offset: 2px; }
#trouble { min-height: 1.5em; margin: 0.8em 0 0; color: var(--bad); }
"""

# The cookie is tried before the page is asked for again: a browser that keeps none would be led in a circle.
_SCRIPT = """
const form = document.querySelector('form');
const { token } = form.elements;
const button = form.querySelector('button');
const trouble = document.getElementById('trouble');

async function signIn() {
  const body = JSON.stringify({ token: token.value.trim() });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(form.action, { method: 'POST', headers, body });
  if (!answer.ok) return (await answer.json()).error.message;
  if ((await fetch(form.dataset.check)).status === 401) return 'this browser did not keep the sign-in: allow cookies';
  location.reload();
  return '';
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  trouble.textContent = '';
  const words = await signIn().catch(() => 'the server does not answer: try again');
  button.disabled = false;
  trouble.textContent = words && words[0].toUpperCase() + words.slice(1) + '.';
  token.setAttribute('aria-invalid', String(words !== ''));
  if (words) token.focus();
});
"""


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; script-src 'sha256-{_digest(_SCRIPT)}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render_sign_in(root: str, hint: str) -> tuple[str, str]:
    """The page, and the `Content-Security-Policy` to send with it.

    root: the path under which a proxy shows the service, or nothing. hint: where people have their token from.
    """
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in to clickmask</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<style>{_STYLE}</style></head><body><main><h1>Sign in to clickmask</h1><p id="hint">{escape(hint)}</p>'
        f'<form method="post" action="{escape(root)}/v1/session" data-check="{escape(root)}/v1/models">'
        '<label for="token">Token</label><input id="token" name="token" type="password" required autofocus '
        'autocomplete="current-password" aria-describedby="hint trouble"><button>Sign in</button>'
        '<p id="trouble" role="alert"></p></form><noscript><p>This page needs JavaScript.</p></noscript></main>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
    return page, _POLICY


def wants_page(scope: Scope) -> bool:
    """Whether a browser wants something to look at: programs, and scripts of pages, are better served with JSON."""
    return scope["method"] in ("GET", "HEAD") and "text/html" in Headers(scope=scope).get("accept", "")


async def send_sign_in(scope: Scope, send: Send, hint: str, challenge: tuple[bytes, bytes]) -> None:
    """Answer with the page. It is a 401 all the same: nobody got in."""
    page, policy = render_sign_in(scope.get("root_path", ""), hint)
    body = page.encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", policy.encode()),
        (b"vary", b"Accept, Cookie"),
        challenge,
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
