# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test has a host of its own in a network and a mount namespace, see tests/support.

A test that takes `host` runs twice: once its plans are carried out by the modules, once by a shell that runs the
printed operations. A test that only looks at what is refused is marked `once`, one whose operations are of kinds that a
shell runs in other tests `by_module`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.host import MODULE, SCRIPT, Host, Make, Outside, a_host
from support.sandbox import sandbox, why_impossible


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ways",
        default=f"{MODULE},{SCRIPT}",
        help="who carries the plans out; the printed operations are no other with an old pyroute2",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "no_rules: nothing in the test has to do with nftables, nobody needs to look")
    config.addinivalue_line("markers", "once: nothing is applied whose operations a shell could run as well")
    config.addinivalue_line("markers", "by_module: operations of these kinds are run by a shell in other tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "way" in metafunc.fixturenames:
        once = any(mark.name in ("once", "by_module") for mark in metafunc.definition.iter_markers())
        ways = metafunc.config.getoption("ways").split(",")
        metafunc.parametrize("way", [way for way in ways if way == MODULE or not once])


@pytest.fixture
def host(way: str, request: pytest.FixtureRequest) -> Iterator[Host]:
    """An empty host: lo is up, nothing else is there."""
    if reason := why_impossible():
        pytest.skip(reason)
    rules = request.node.get_closest_marker("no_rules") is None
    with sandbox(), a_host(way, rules) as made:
        yield made


@pytest.fixture
def make_outside(host: Host) -> Iterator[Make]:
    """Makes the outside when it is called, with `ipv6=True` for both families."""
    made: list[Outside] = []

    def make(ipv6: bool = False) -> Outside:
        made.append(Outside(ipv6))
        return made[-1]

    yield make
    for outside in made:
        outside.remove()


@pytest.fixture
def outside(make_outside: Make) -> Outside:
    """An IPv4 outside behind the host's link `uplink`, which carries its default route."""
    return make_outside()
