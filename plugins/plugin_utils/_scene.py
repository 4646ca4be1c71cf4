# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of whatever somebody has at hand: a definition, or what was seen."""

from __future__ import annotations

import dataclasses

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Picture
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_defined import picture_of_definition
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_seen import picture_of_seen
from ansible_collections.nslab.linux.plugins.plugin_utils._scene_sight import is_seen


def picture_of(value: object, definition: object = None, title: str | None = None) -> Picture:
    """``definition`` is what something seen is compared with, ``title`` what stands above instead of the lab's name."""
    if is_seen(value):
        picture = picture_of_seen(value, definition)
    elif definition is not None:
        raise Problem("only what was seen is compared with a definition", "give what nslab.linux.lab_info returned")
    else:
        picture = picture_of_definition(value)
    return picture if title is None else dataclasses.replace(picture, name=title)
