# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page with the pictures of many hosts: one file that needs no other, no script and no network.

Whatever comes from hosts is escaped: a link may be called almost anything.
"""

from __future__ import annotations

import dataclasses
import html
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._page_style import POLICY, STYLE
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import MISSING, NAMESPACE, Mark, Picture
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen
from ansible_collections.nslab.linux.plugins.plugin_utils._svg import draw_svg

MANY = 8  # hosts; with more, those where nothing stands out are folded
MOST = 5  # of what stands out on a host, in the overview


@dataclasses.dataclass(frozen=True)
class Finding:
    """What stands out at a place; ``anchor`` is its id in the page."""

    anchor: str
    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Host:
    """A host of the page. ``faults`` say why it, or one of its labs, can't be drawn, ``notes`` why a part could not be read."""

    name: str
    anchor: str
    pictures: tuple[Picture, ...] = ()
    faults: tuple[str, ...] = ()
    compared: bool = False
    notes: tuple[str, ...] = ()

    def prefix(self, index: int) -> str:
        return f"{self.anchor}-{index}-"

    @property
    def findings(self) -> list[Finding]:
        found = [Finding(self.anchor, "fault", fault) for fault in self.faults]
        for index, picture in enumerate(self.pictures):
            found += findings(picture, self.prefix(index))
        return found


def hosts_of(given: t.Mapping[str, t.Any]) -> list[Host]:
    """``given`` has for each host ``seen``, what lab_info returned or why it did not, and ``definitions`` of labs there."""
    return [_host(str(name), f"host-{index}", one) for index, (name, one) in enumerate(given.items())]


def _host(name: str, anchor: str, given: object) -> Host:
    if not isinstance(given, t.Mapping) or "seen" not in given:
        raise Problem(f"of host {name} nothing is said", "give a dict for each host, with seen and definitions")
    seen = given["seen"]
    definitions = list(given.get("definitions") or ())
    if isinstance(seen, t.Mapping) and (seen.get("unreachable") or seen.get("failed")):
        how = "unreachable" if seen.get("unreachable") else "could not be looked at"
        said = " ".join(str(seen.get("msg", "it does not say why")).split())
        return Host(name, anchor, faults=(f"{name} {'is ' if seen.get('unreachable') else ''}{how}: {said}",))
    pictures: list[Picture] = []
    faults: list[str] = []
    told = seen.get("warnings") if isinstance(seen, t.Mapping) else ()
    reasons = tuple(str(one) for one in told if "can't be read" in str(one)) if isinstance(told, t.Sequence) else ()
    for definition in definitions or [None]:
        try:
            pictures.append(picture_of_seen(seen, definition))
        except Problem as problem:
            faults.append(str(problem))
    return Host(name, anchor, tuple(pictures), tuple(faults), bool(definitions), reasons)


def findings(picture: Picture, prefix: str = "") -> list[Finding]:
    """What stands out in a picture, in its order; of a lab that is not there at all, that alone."""
    inside = [node for node in picture.nodes if node.kind == NAMESPACE]
    if picture.observed and inside and all(_is_missing(node.marks) for node in inside):
        return [Finding(f"{prefix}node-{picture.nodes.index(inside[0])}", MISSING, f"lab {picture.name} is missing")]
    found = [Finding(prefix.rstrip("-"), mark.kind, mark.text) for mark in picture.marks]
    for index, node in enumerate(picture.nodes):
        found += [_finding(f"{prefix}node-{index}", node.key, mark) for mark in node.marks]
    for index, wire in enumerate(picture.wires):
        anchor = f"{prefix}wire-{index}"
        found += [Finding(anchor, mark.kind, mark.text) for mark in wire.marks]
        found += [_finding(anchor, end.node, mark) for end in wire.ends for mark in end.marks]
    return found


def _is_missing(marks: t.Iterable[Mark]) -> bool:
    return any(mark.kind == MISSING for mark in marks)


def _finding(anchor: str, where: str, mark: Mark) -> Finding:
    told = mark.text.startswith(("namespace ", "bridge ")) or f"{where.partition('/')[0]}:" in mark.text
    return Finding(anchor, mark.kind, mark.text if told else f"{where}: {mark.text}")


def draw_page(given: t.Mapping[str, t.Any], title: str = "Network namespaces") -> str:
    """The page as text. Raises Problem where ``given`` is not of the shape that `hosts_of` takes."""
    hosts = hosts_of(given)
    rows = "\n".join(_row(host, len(hosts)) for host in hosts)
    sections = "\n".join(_section(host, len(hosts)) for host in hosts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{_text(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
{_summary(hosts)}
</header>
<main>
<table>
<thead><tr><th>host</th><th>labs</th><th class="number">namespaces</th><th class="number">links</th><th>what stands out</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{sections}
</main>
<footer>Drawn by nslab.linux from what nslab.linux.lab_info saw.</footer>
</body>
</html>
"""


def _summary(hosts: t.Sequence[Host]) -> str:
    namespaces, links = (sum(_counts(host)[place] for host in hosts) for place in (0, 1))
    counted = f"{_many(len(hosts), 'host')}, {_many(namespaces, 'namespace')}, {_many(links, 'link')}."
    lost = [host for host in hosts if host.faults]
    standing = [host for host in hosts if host.findings]
    number = sum(len(host.findings) for host in standing)
    if not hosts:
        verdict = '<p class="verdict">No host was looked at.</p>'
    elif not standing:
        verdict = (
            '<p class="verdict fine"><span aria-hidden="true">✓</span> Everything is fine: nothing stands out.</p>'
        )
    else:
        on = _many(len(standing), "host") if len(hosts) > 1 else _text(standing[0].name)
        verb = "thing stands" if number == 1 else "things stand"
        said = f"{number} {verb} out on {on}"
        said += f", and {_many(len(lost), 'host')} could not be drawn whole" if lost else ""
        verdict = f'<p class="verdict bad"><span aria-hidden="true">!</span> {said}.</p>'
    return f"<p>{counted}</p>\n{verdict}"


def _counts(host: Host) -> tuple[int, int]:
    """Namespaces and links that are there."""
    nodes = [node for picture in host.pictures for node in picture.nodes if node.kind == NAMESPACE]
    wires = [wire for picture in host.pictures for wire in picture.wires if wire.cable]
    return sum(not _is_missing(each.marks) for each in nodes), sum(not _is_missing(each.marks) for each in wires)


def _row(host: Host, hosts: int) -> str:
    namespaces, links = map(str, _counts(host) if host.pictures else ("-", "-"))
    labs = ", ".join(_text(picture.name) for picture in host.pictures if picture.name) or "-"
    found = host.findings
    if found:
        most = MOST if hosts > 1 else len(found)
        items = [_item(each) for each in found[:most]]
        if len(found) > most:
            items.append(f'<li><a href="#{host.anchor}">and {len(found) - most} more</a></li>')
        said = f"<ul>{''.join(items)}</ul>"
    else:
        said = f'<span class="fine"><span aria-hidden="true">✓</span> {_fine(host)}</span>'
    return (
        f'<tr><th scope="row"><a href="#{host.anchor}">{_text(host.name)}</a></th><td>{labs}</td>'
        f'<td class="number">{namespaces}</td><td class="number">{links}</td><td>{said}</td></tr>'
    )


def _fine(host: Host) -> str:
    return "as declared" if host.compared else "nothing, and there is no definition to compare with"


def _item(each: Finding) -> str:
    said = _text(each.text)
    word = "" if each.kind in (*each.text.split(), "fault", "changed") else f"{each.kind}: "
    return f'<li class="mark {each.kind}"><a href="#{each.anchor}">{word}{said}</a></li>'


def _section(host: Host, hosts: int) -> str:
    found = host.findings
    opened = " open" if found or hosts <= MANY else ""
    faults = "".join(f'<p class="fault">{_text(fault)}</p>\n' for fault in host.faults)
    figures = "".join(_figure(host, index, picture, hosts > 1) for index, picture in enumerate(host.pictures))
    figures += "".join(f'<p class="note">{_text(note)}</p>\n' for note in host.notes)
    state = f"{len(found)} standing out" if found else _fine(host)
    return (
        f'<details class="host" id="{host.anchor}"{opened}>\n'
        f"<summary><h2>{_text(host.name)}</h2> <span>{_text(state)}</span></summary>\n"
        f"{faults}{figures}</details>"
    )


def _figure(host: Host, index: int, picture: Picture, listed: bool) -> str:
    """``listed``: with what stands out, which a page of one host has right above."""
    prefix = host.prefix(index)
    items = "".join(_item(each) for each in findings(picture, prefix)) if listed else ""
    marks = f"<ul>{items}</ul>\n" if items else ""
    return (
        f'<figure id="{prefix.rstrip("-")}">\n{marks}<div class="drawing" tabindex="0">\n'
        f"{draw_svg(picture, prefix=prefix)}\n</div>\n</figure>\n"
    )


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _text(text: str) -> str:
    """Escaped, and without what no text of a page may have, as control characters."""
    return html.escape("".join(one if one.isprintable() else "�" for one in text))
