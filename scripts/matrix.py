# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of ./dev matrix: every combination of ansible-core, Python and pyroute2 that is said to be supported.

A cell is a gate of gates.py, made of a script in scripts/cells/ and of the environments that it is given. Each script
asks the interpreters themselves who they are, and fails when one is not what its cell says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from gates import CHECKOUT, Gate, main

# Environment of the controller, by its ansible-core.
CONTROLLERS = {"2.19": "core-2.19@3.11", "2.21": "core-2.21@3.13"}
# Pythons of managed hosts: the oldest, that of Debian 12, the newest.
TARGETS = ("3.9", "3.11", "3.13")
PYROUTE2 = {"oldest": "0.7.2", "newest": "0.9.7"}

WITNESSES = ("ip", "bridge", "nft", "ping", "curl", "sysctl", "unshare", "nsenter", "setpriv")


def cells() -> list[Gate]:
    """Those that take longest first."""
    return [*kernel(), *integration(), *sanity(), *units()]


def kernel() -> Iterator[Gate]:
    for target in TARGETS:
        for pyroute2, version in PYROUTE2.items():
            yield cell(
                f"kernel-{target}-{pyroute2}",
                f"the kernel tests on Python {target} with pyroute2 {version}",
                # The module side of a core that still takes this Python, and of the newest where it does too.
                {"TARGET": f"{pyroute2}@{target}", "CORE": CONTROLLERS["2.19" if target == "3.9" else "2.21"]},
                on_path="TARGET",
                root=True,
            )


def integration() -> Iterator[Gate]:
    for core, controller in CONTROLLERS.items():
        for target in TARGETS:
            for pyroute2, version in PYROUTE2.items():
                yield cell(
                    f"integration-{core}-{target}-{pyroute2}",
                    f"every module, by ansible-core {core}, on Python {target} with pyroute2 {version}",
                    {"CORE": controller, "TARGET": f"{pyroute2}@{target}"},
                    on_path="CORE",
                    root=True,
                )


def sanity() -> Iterator[Gate]:
    for core, controller in CONTROLLERS.items():
        yield cell(
            f"sanity-{core}",
            f"ansible-test sanity of ansible-core {core}, on every Python of a managed host",
            {"CORE": controller, "PYTHONS": " ".join(TARGETS)},
            on_path="CORE",
        )


def units() -> Iterator[Gate]:
    for core, controller in CONTROLLERS.items():
        for target in TARGETS:
            yield cell(
                f"units-{core}-{target}",
                f"the unit tests by ansible-core {core} on Python {target}",
                {"CORE": controller, "TARGET": f"newest@{target}"},
                on_path="CORE",
            )


def cell(name: str, title: str, variables: dict[str, str], on_path: str, root: bool = False) -> Gate:
    """`variables` are the script's; CORE and TARGET among them name environments, and that of `on_path` comes first."""
    environments = [variables[key] for key in ("CORE", "TARGET") if key in variables]
    environments.sort(key=lambda environment: environment != variables[on_path])
    kind = name.partition("-")[0]
    return Gate(
        name=name,
        title=title,
        environments=tuple(environments),
        commands=WITNESSES if root else (),
        root=root,
        script=CHECKOUT / "scripts" / "cells" / f"{kind}.sh",
        variables=tuple(variables.items()),
    )


if __name__ == "__main__":
    sys.exit(main("matrix", cells()))
