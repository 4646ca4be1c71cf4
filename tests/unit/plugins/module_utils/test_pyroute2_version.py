# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pyroute2 is there, by the files that the distributions put there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.nslab.linux.plugins.module_utils import _module

UNKNOWN = "__version__ = 'unknown'\n"

LAYOUTS = [
    pytest.param(
        {"config/version.py": '__version__ = "0.9.7"\n', "../pyroute2-0.9.6.dist-info/RECORD": ""},
        "0.9.7",
        id="by the file",
    ),
    # Debian 12 has no config/version.py.
    pytest.param(
        {"__init__.py": UNKNOWN, "../pyroute2-0.7.2.dist-info/METADATA": ""}, "0.7.2", id="by what is installed"
    ),
    pytest.param({"__init__.py": UNKNOWN, "../pyroute2-0.7.12-py3.11.egg-info/PKG-INFO": ""}, "0.7.12", id="by an egg"),
    pytest.param({"__init__.py": UNKNOWN, "../pyroute2.core-0.6.1.dist-info/METADATA": ""}, "unknown", id="by nothing"),
]


@pytest.mark.parametrize(("files", "version"), LAYOUTS)
def test_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], version: str) -> None:
    package = tmp_path / "pyroute2"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "pyroute2", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _module._pyroute2_version() == version
    sys.modules.pop("pyroute2", None)
