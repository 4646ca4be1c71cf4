# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-core finds the plugins of the collection; ansible-test has seen to that already, and pytest alone has not."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig


@pytest.fixture(scope="session", autouse=True)
def _plugins_are_found() -> None:
    if AnsibleCollectionConfig.collection_finder is None:
        collection = importlib.import_module("ansible_collections.nslab.linux")
        init_plugin_loader([str(Path(next(iter(collection.__path__))).parents[2])])
        collection._collection_meta = {}
