# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in this process, fed and read as ansible-core does it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
from typing import Any

from ansible.module_utils.common import warnings as ansible_warnings
from ansible.module_utils.testing import patch_module_args

from .sandbox import open_namespaces

COLLECTION = "ansible_collections.nslab.linux"
# Beside what the module says of its own.
OF_ANSIBLE = {"invocation", "failed", "warnings", "deprecations", "exception"}


class Result(dict[str, Any]):
    """What a module returned."""

    @property
    def failed(self) -> bool:
        return bool(self.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self["changed"])

    @property
    def operations(self) -> list[str]:
        return list(self["operations"])

    @property
    def warnings(self) -> list[str]:
        return list(self.get("warnings", []))

    @property
    def state(self) -> dict[str, Any]:
        """The returned state, without what says how the run went."""
        plan = {"changed", "operations", "diff", "msg", "rolled_back", "undone", "timings"}
        return {key: value for key, value in self.items() if key not in plan | OF_ANSIBLE}


def run(module: str, arguments: dict[str, Any], check: bool = False) -> Result:
    """The result of one task; any exception that the module lets through fails the test as it stands."""
    face = importlib.import_module(f"{COLLECTION}.plugins.modules.{module}")
    ansible_warnings._global_warnings.clear()
    ansible_warnings._global_deprecations.clear()
    fed = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_module_name": module}
    namespace, held = os.readlink("/proc/thread-self/ns/net"), open_namespaces()
    out, code = io.StringIO(), None
    with patch_module_args(fed), contextlib.redirect_stdout(out):
        try:
            face.main()
        except SystemExit as end:
            code = end.code
        else:
            raise AssertionError(f"{module} ended without a result")
    assert os.readlink("/proc/thread-self/ns/net") == namespace, f"{module} did not come back from a namespace"
    if open_namespaces() - held:
        gc.collect()
    assert open_namespaces() <= held, f"{module} left namespaces open: {open_namespaces() - held}"
    result = Result(json.loads(out.getvalue()))
    warnings = [text if isinstance(text, str) else text["event"]["msg"] for text in result.get("warnings", [])]
    result["warnings"] = warnings
    assert bool(code) == result.failed, f"exit code {code} with {result}"
    assert not result.get("deprecations"), result["deprecations"]
    return result


def assert_one_line(result: Result) -> None:
    """A failure as a person should see it."""
    message = result["msg"]
    assert message
    assert "\n" not in message.strip(), f"more than one line: {message!r}"
    assert "Traceback" not in json.dumps(result), result
    for word in ("Exception(", "NetlinkError", "KeyError", "object at 0x", "Errno"):
        assert word not in message, f"not for people: {message!r}"
