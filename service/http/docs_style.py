"""How the page of the API looks. Its digest stands in the page's security policy, so that no other style applies."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: #d8dde3; --soft: #f4f6f8; --dim: #5b6670; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --line: #363d45; --soft: #1d2126; --dim: #9aa6b1; --link: #7db7f2; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
code, pre { font: 0.875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 0.5em 0 1em; padding: 0.8em 1em; overflow-x: auto; background: var(--soft); border-radius: 6px; }
h1 { margin: 0; font-size: 1.8em; }
h2 { margin: 2.2em 0 0.6em; font-size: 1.4em; }
h3 { margin: 0; font-size: 1em; overflow-wrap: anywhere; }
h4 { margin: 1.4em 0 0.3em; font-size: 0.875em; color: var(--dim); }
p { margin: 0.5em 0; }
summary { margin: 1em 0 0.3em; font-size: 0.875em; color: var(--dim); cursor: pointer; }
.strong { font-weight: 600; }
.dim { color: var(--dim); }
.page { display: grid; grid-template-columns: minmax(0, 19rem) minmax(0, 52rem); gap: 0 3rem; max-width: 78rem;
  margin: 0 auto; padding: 2rem 1.5rem 6rem; }
nav { position: sticky; top: 2rem; align-self: start; max-height: calc(100vh - 4rem); overflow-y: auto;
  font-size: 0.875em; }
nav h2 { margin: 1.2em 0 0.2em; font-size: 1em; }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li { margin: 0.2em 0; overflow-wrap: anywhere; }
article { margin: 0 0 1.5rem; padding: 1rem 1.2rem; border: 1px solid var(--line); border-radius: 8px; }
article:target { border-color: var(--link); }
table { width: 100%; border-collapse: collapse; font-size: 0.9em; }
th, td { padding: 0.35em 1em 0.35em 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; color: var(--dim); }
td p { margin: 0; }
.verb { display: inline-block; min-width: 4.2em; margin-right: 0.6em; padding: 0.1em 0.5em; border-radius: 4px;
  font: 600 0.75em/1.6 ui-monospace, Menlo, Consolas, monospace; text-align: center; color: #fff; background: #5b6670; }
.get { background: #1c6b48; }
.post { background: #0b5cad; }
.delete { background: #a3312a; }
nav .verb { min-width: 3.8em; margin-right: 0.4em; padding: 0 0.3em; font-size: 0.7em; }
@media (max-width: 60rem) {
  .page { display: block; }
  nav { position: static; max-height: none; margin-bottom: 2rem; }
}
"""
