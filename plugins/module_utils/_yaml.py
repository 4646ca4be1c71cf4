# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text of plain data, for diffs; a managed host need not have PyYAML."""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./:@+-]*\Z")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def to_yaml(value: object) -> str:
    """Block style, keys in their order, one item a line."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: object) -> list[str]:
    if isinstance(value, dict) and value:
        found = []
        for key, item in value.items():
            found += _under(f"{_scalar(key)}:", item, "  ")
        return found
    if isinstance(value, (list, tuple)) and value:
        found = []
        for item in value:
            lines = _lines(item)
            found += [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
        return found
    return [_scalar(value)]


def _under(head: str, item: object, indent: str) -> list[str]:
    if isinstance(item, str) and "\n" in item:
        return [f"{head} |", *(f"{indent}{line}" for line in item.splitlines())]
    if isinstance(item, (dict, list, tuple)) and item:
        return [head, *(f"{indent}{line}" for line in _lines(item))]
    return [f"{head} {_scalar(item)}"]


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return (
            value
            if _PLAIN.match(value) and value.lower() not in _WORDS and not value.endswith(":")
            else json.dumps(value)
        )
    return json.dumps(value)
