# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook picture and the filters behind it, on a real lab: what a reader finds on the page, and that it needs nothing else."""

from __future__ import annotations

import ast
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import runner
from support.ansible_runs import Ansible
from support.host import MODULE, a_host
from support.sandbox import sandbox, why_impossible

FILTERS = Path(__file__).parents[2] / "plugins/filter"
OFFICE: dict[str, Any] = {
    "name": "office",
    "nodes": {"count": 2, "prefix": "pc", "bridge": "office0", "routes": [{"dst": "default", "via": "10.2.0.1"}]},
    "bridges": {"office0": {"subnet": "10.2.0.0/24"}},
    "namespaces": {"printer": {}},
    "links": [{"endpoints": ["printer:eth0", "pc1:eth1"], "subnet": "10.3.0.0/30"}],
}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
INVENTORY = {
    "all": {
        "hosts": {
            "web1": {**HERE, "nslab_lab": OFFICE},
            "web2": HERE,
            "gone": {**HERE, "ansible_connection": "nslab.linux.netns_local", "ansible_netns": "nowhere", "nslab_lab": OFFICE},
        },
        "children": {"nslab_namespaces": {"hosts": {"pc1": HERE}}},
        "vars": {"office": OFFICE},
    }
}  # fmt: skip
# Whatever a browser would load.
LOADING = {"src", "srcset", "data", "action", "poster", "background", "style", "onload", "onclick"}


class Page(HTMLParser):
    """The text, the ids and the links of a page; that nothing in it is from elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.ids: list[str] = []
        self.links: dict[str, str] = {}
        self.texts: list[str] = []
        self._within = ""
        self.feed(self.source)
        assert len(self.ids) == len(set(self.ids)), "ids of pictures clash"
        assert set(self.links.values()) <= {f"#{one}" for one in self.ids}, "a link leads nowhere"
        assert not re.search(r"@import|url\(|<script|<link|<iframe|<object|<img", self.source)
        for svg in re.findall(r"<svg.*?</svg>", self.source, re.DOTALL):
            ElementTree.fromstring(svg)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert not LOADING & found.keys(), f"{tag} has {LOADING & found.keys()}"
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self._within = str(found.get("href") or found.get("xlink:href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())
        if self._within:
            self.links.setdefault(data, self._within)


@pytest.fixture
def ansible(ansible_runs: Ansible, tmp_path: Path) -> Ansible:
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(INVENTORY), encoding="utf-8")
    if reason := why_impossible():
        pytest.skip(reason)
    return ansible_runs


def examples() -> list[dict[str, Any]]:
    """Those of the filters that draw."""
    found: list[dict[str, Any]] = []
    for path in sorted(FILTERS.glob("lab_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
                found += yaml.safe_load(ast.literal_eval(node.value))
    return found


def test_a_page_tells_of_every_host_what_stands_out(ansible: Ansible, tmp_path: Path) -> None:
    with sandbox(), a_host(MODULE) as host:

        def run(*words: str) -> tuple[int, str]:
            """How many hosts had a change, and what was printed."""
            done = ansible.playbook("-i", "fleet.yml", *words, directory=tmp_path)
            assert done.returncode == 0, done.output
            assert "Traceback" not in done.output, done.output
            return len(re.findall(r"changed=[1-9]", done.output)), done.output

        made = runner.run("lab", {"definition": OFFICE})
        assert not made.failed, made["msg"]
        before = host.snapshot()

        changed, output = run("nslab.linux.picture")
        assert changed == 1
        assert f"{tmp_path}/nslab.html, to be opened in a browser (file://{tmp_path}/nslab.html)" in output
        page = Page(tmp_path / "nslab.html")
        # web2 has no lab, where others have; gone is not forgotten.
        assert {"web1", "gone", "as declared", "office"} <= set(page.texts)
        assert not {"web2", "localhost"} & set(page.texts)
        assert re.search("gone is unreachable: .*nowhere", page.source)
        assert "1 thing stands out on 1 host, and 1 host could not be drawn whole." in page.texts
        # There is nothing in it that changes by itself, and check mode does the same up to there.
        changed, output = run("nslab.linux.picture", "--check")
        assert changed == 0
        assert f"{tmp_path}/nslab.html is not written in check mode" in output

        host.sh("""
            ip -n pc1 link set dev eth1 mtu 1300
            ip -n pc2 route del default
            ip netns add guest
            ip link add 'a<b>&"é' up master office0 type veth peer name eth0 netns guest
            ip -n guest link set dev eth0 up
        """)
        after = host.snapshot()
        assert before.differences(after)
        options = ("-e", "nslab_picture=sub.html", "-e", "nslab_picture_title=A<i>", "-e", "nslab_hosts=web1:web2")
        assert run("nslab.linux.picture", *options)[0] == 1
        page = Page(tmp_path / "sub.html")
        expected = {
            "pc1:eth1 has mtu 1300, printer:eth0 has 1500",
            "pc2: route default via 10.2.0.1 is missing",
            'extra: link guest:eth0 - host:a<b>&"é is not declared',
        }
        assert expected <= page.links.keys()
        places = {text: page.links[text] for text in expected}
        assert all(re.fullmatch(r"#host-0-0-(node|wire)-\d+", place) for place in places.values()), places
        assert len(set(places.values())) == len(places)
        assert "A<i>" in page.texts
        assert "<b>" not in page.source
        # The same host as it is: links of unlike MTU stand out there too, and nothing is declared.
        second = {text for text, place in page.links.items() if place.startswith("#host-1-")}
        assert second <= expected
        assert "host-1-0" in page.ids

        play = [{"hosts": "web1,web2", "gather_facts": False, "tasks": examples()}]
        (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
        run("play.yml")
        drawn, seen = (ElementTree.parse(tmp_path / name) for name in ("office.svg", "office_on_web1.svg"))
        assert text_of(drawn) >= {"office", "pc1", "pc2", "printer", "10.3.0.2/30"}
        assert "guest" not in text_of(drawn)
        assert text_of(seen) >= {"web1", "pc1", "guest"}
        assert all(name in (tmp_path / "office.md").read_text() for name in ("```mermaid", "pc1", "10.3.0.2/30"))
        assert {"web1", "web2"} <= set(Page(tmp_path / "office.html").texts)
        assert after.differences(host.snapshot()) == []


def text_of(drawn: ElementTree.ElementTree[Any]) -> set[str]:
    return {text.strip() for text in drawn.getroot().itertext()}
