"""How the report looks. The style's digest stands in the page's security policy, so that nothing else applies."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1a1f24; --dim: #57626d; --line: #d9dfe5; --soft: #f3f5f7;
  --link: #0b5cad; --done: #2f7fd1; --failed: #c8352b; --passed: #8a96a3; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e4e8ec; --dim: #9ba7b3; --line: #343b43;
  --soft: #1d2126; --link: #7db7f2; --done: #5b9fe3; --failed: #ff7a6e; --passed: #77838f; --warn: #e5b567; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 0.25rem; font-size: 1.25rem; }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1rem; }
p { margin: 0.25rem 0 1rem; max-width: 50rem; text-wrap: pretty; }
.dim { color: var(--dim); }
.state { margin: 0.5rem 0 1.5rem; }
.told { padding: 0.6rem 1rem; border-left: 4px solid var(--warn); background: var(--soft); overflow-wrap: anywhere; }
.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1px; margin: 0 0 1.5rem;
  padding: 1px; }
.counts div { padding: 0.8rem 1rem; box-shadow: 0 0 0 1px var(--line); }
.counts dt { font-size: 0.875rem; color: var(--dim); }
.counts dd { margin: 0; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.counts dd small { display: block; font-size: 0.8125rem; color: var(--dim); }
.counts .bad dd { color: var(--failed); }
.share { display: block; width: 100%; height: 10px; margin: 0 0 1rem; border-radius: 5px; background: var(--line); }
.share .done { fill: var(--done); }
.share .failed { fill: var(--failed); }
.share .passed { fill: var(--passed); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: 1.25rem 1rem;
  margin: 1rem 0 0; padding: 0; list-style: none; }
.gallery figure { margin: 0; }
.gallery .frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 4 / 3; border-radius: 6px;
  background: var(--soft); overflow: hidden; }
.gallery img { width: 100%; height: 100%; object-fit: contain; }
.gallery .none { padding: 1rem; font-size: 0.875rem; color: var(--dim); text-align: center; }
.gallery figcaption { margin-top: 0.4rem; font-size: 0.8125rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery .figure { color: var(--dim); font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 2.5rem; }
.charts figure { margin: 0; min-width: 0; }
.charts figcaption { margin: 1rem 0 0.25rem; font-weight: 600; }
.chart { display: block; width: 100%; max-width: 32rem; height: auto; }
.chart text { fill: var(--dim); font: 12px system-ui, sans-serif; }
.chart .grid { stroke: var(--line); }
.chart .axis { stroke: var(--dim); }
.chart .bar { fill: var(--done); }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.4rem 1.25rem 0.4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--dim); white-space: nowrap; overflow-wrap: normal; }
th[scope="row"] { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.narrow { width: auto; }
.failures { table-layout: fixed; }
.failures th:first-child { width: 38%; }
summary { margin: 0.25rem 0 0.5rem; font-size: 0.875rem; color: var(--dim); cursor: pointer; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 0.875rem;
  color: var(--dim); }
@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  .counts, .gallery { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .counts dd { font-size: 1.25rem; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --text: #000; --dim: #444; --line: #bbb; --soft: #eee; --link: #000;
    --done: #2f7fd1; --failed: #b02a21; --passed: #8a96a3; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .gallery { grid-template-columns: repeat(4, 1fr); }
  .gallery li, .charts figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .share rect, .chart .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
