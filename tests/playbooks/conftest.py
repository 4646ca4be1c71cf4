# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs Ansible for all these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.ansible_runs import Ansible


@pytest.fixture(scope="session")
def ansible_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ansible]:
    started = Ansible(tmp_path_factory.mktemp("ansible"))
    yield started
    started.end()
