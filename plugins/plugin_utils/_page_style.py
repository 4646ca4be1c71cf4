# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a page of pictures looks, by day and by night, and what its browser is to let it do: nothing but that."""

from __future__ import annotations

from ansible_collections.nslab.linux.plugins.plugin_utils._svg_style import COLOURS

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# The picture's own, by the names of the page.
_NAMES = {
    "page": "background",
    "panel": "surface",
    "ink": "ink",
    "muted": "muted",
    "line": "border",
    "link": "link",
    "bad": "bad",
    "fine": "good",
}
_COLOURS = {**COLOURS, "link": ("#0a58ca", "#7ab3ff")}


def _variables(place: int) -> str:
    return " ".join(f"--{name}: {_COLOURS[colour][place]};" for name, colour in _NAMES.items())


STYLE = (
    f"""\
:root {{ {_variables(0)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(1)} }} }}
"""
    + """\
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.5rem 3rem; max-width: 110rem; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
a { color: var(--link); }
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 0; display: inline; overflow-wrap: anywhere; }
p { margin: 0.3rem 0; }
ul { margin: 0.2rem 0; padding-left: 1.2rem; }
.verdict { font-weight: 600; }
.verdict.bad, .fault, li.mark::marker { color: var(--bad); }
.fine { color: var(--fine); }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
thead th { color: var(--muted); font-weight: 500; white-space: nowrap; }
.number { text-align: right; width: 6rem; }
tbody th { min-width: 12rem; }
th + td { min-width: 7rem; }
td ul { padding-left: 1rem; margin: 0; }
.host { border: 1px solid var(--line); border-radius: 6px; background: var(--panel);
  margin: 0.6rem 0; padding: 0.5rem 1rem; }
.host > summary { cursor: pointer; }
.host > summary span, .note, footer { color: var(--muted); font-size: 0.9rem; }
.host:target { border-color: var(--link); }
figure { margin: 0.5rem 0; }
.drawing { overflow: auto; max-width: 100%; border: 1px solid var(--line); border-radius: 4px; background: var(--page); }
.drawing:focus-visible { outline: 2px solid var(--link); }
.drawing svg { display: block; }
footer { margin-top: 1.5rem; }
@media print { .host { break-inside: avoid; } .drawing { overflow: visible; } }
"""
)
