# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AnsibleModule side of every module: take the options, run the engine, exit or fail."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import re
import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._engine import Declaration, Outcome, Undone, run
from ._errors import Problem, advice_for, advice_for_file
from ._kernel import _files
from ._kernel._kernel import Kernel
from ._kernel._refusal import KernelRefused
from ._yaml import to_yaml

PYROUTE2 = (0, 7, 2)
PACKAGES = (
    "python3-pyroute2 on Debian 12, Ubuntu 24.04, Fedora, openSUSE and Alpine (py3-pyroute2), python-pyroute2 on Arch;"
    " elsewhere 'pip install pyroute2>=0.7.2' for that Python"
)
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
CHOSEN_BY_KERNEL = ("index", "inode", "pids", "state")  # left out of diffs: they say nothing of what was declared


@contextlib.contextmanager
def _uncollected() -> t.Iterator[None]:
    """Nothing looks for cycles: a task makes none, and of a thousand namespaces so many objects that it took a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_uncollected()
def run_module(declare: t.Callable[[dict[str, t.Any]], Declaration], **spec: t.Any) -> None:
    """The whole run of a module: ``declare`` turns its validated options into desired objects."""
    module = AnsibleModule(supports_check_mode=True, **spec)
    require_pyroute2(module)
    with _failing(module):
        require_capabilities()
        declaration = declare(module.params)
        outcome = _run(declaration, module.check_mode)
    for warning in outcome.plan.warnings:
        module.warn(warning)
    result: dict[str, t.Any] = {
        "changed": bool(outcome.plan.todo),
        "operations": outcome.plan.operations,
        **declaration.report(outcome.world),
    }
    if declaration.timed:
        result["timings"] = outcome.timings
    if module._diff:
        result["diff"] = diff(declaration, outcome)
    module.exit_json(**result)


@_uncollected()
def run_look(declare: t.Callable[[dict[str, t.Any]], Declaration], **spec: t.Any) -> None:
    """The whole run of a module that only looks: it waits for nobody, and needs pyroute2 only where a rule set is."""
    module = AnsibleModule(supports_check_mode=True, **spec)
    with _failing(module):
        require_capabilities()
        declaration = declare(module.params)
        kernel = Kernel()
        try:
            outcome = run(declaration, kernel, check=True)
        finally:
            kernel.close()
    for warning in outcome.plan.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **declaration.report(outcome.world))


@contextlib.contextmanager
def _failing(module: AnsibleModule) -> t.Iterator[None]:
    """What goes wrong within the block is the task's failure, in one line."""
    try:
        yield
    except Undone as problem:
        module.fail_json(msg=str(problem), rolled_back=not problem.leftover, undone=problem.undone)
    except Problem as problem:
        module.fail_json(msg=str(problem), **({"errors": problem.details} if problem.details else {}))
    except (KernelRefused, OSError) as error:
        said = (error.text,) if isinstance(error, KernelRefused) else (error.filename, error.strerror)
        text = ": ".join(str(part) for part in said if part) or str(error)
        of_a_file = isinstance(error, OSError) and not str(error.filename or "/proc").startswith("/proc")
        advice = advice_for_file(error.errno) if of_a_file else advice_for(error.errno)
        module.fail_json(msg=f"the state of the host can't be read: {text}: {advice}")


def _run(declaration: Declaration, check: bool) -> Outcome:
    with _files.locked(create=not check):
        kernel = Kernel()
        try:
            with _heeding(kernel):
                return run(declaration, kernel, check)
        finally:
            kernel.close()


@contextlib.contextmanager
def _heeding(kernel: Kernel) -> t.Iterator[None]:
    """A signal that ends the process, as when the connection is lost, is heeded between two operations, and all is undone."""

    def note(number: int, _frame: object) -> None:
        kernel.ended_by = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_pyroute2(module: AnsibleModule) -> None:
    """Fail with the package names of the common distributions where pyroute2 is missing or too old."""
    try:
        version = _pyroute2_version()
    except ImportError:
        message = missing_required_lib("pyroute2 >= 0.7.2", reason="to speak with the kernel")
        module.fail_json(msg=f"{message.rstrip('.')}. It is {PACKAGES}.")
    else:
        numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
        if numbers < PYROUTE2:
            module.fail_json(msg=f"pyroute2 {version} is too old, 0.7.2 or later is needed: it is {PACKAGES}")


def _pyroute2_version() -> str:
    """Read from files, as an import takes longer than most tasks.

    Every version since 0.5 has it in config/version.py. Debian 12 leaves that file out, and then even pyroute2 itself says
    "unknown"; there it is in the name of the directory that tells what is installed.

    :raises ImportError: there is no pyroute2.
    """
    spec = importlib.util.find_spec("pyroute2")
    if spec is None:
        raise ImportError("pyroute2")
    package = os.path.dirname(spec.origin or "")
    found = []
    with contextlib.suppress(OSError), open(os.path.join(package, "config", "version.py"), encoding="utf-8") as file:
        found = re.findall(r"\A__version__ = ['\"]([^'\"]+)['\"]", file.read())
    if not found:
        with contextlib.suppress(OSError):
            beside = "\n".join(os.listdir(os.path.dirname(package)))
            found = re.findall(r"^pyroute2-([0-9.]*[0-9])(?=[-.]).*\.(?:dist|egg)-info$", beside, re.MULTILINE)
    if found:
        return str(found[0])
    import pyroute2

    return str(getattr(pyroute2, "__version__", "0"))


def require_capabilities() -> None:
    """:raises Problem: the process may not change networks (CAP_NET_ADMIN) or enter namespaces (CAP_SYS_ADMIN)."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    missing = [name for name, bit in CAPABILITIES.items() if not effective & (1 << bit)]
    if missing:
        raise Problem(f"the task lacks the privileges {' and '.join(missing)}", "run it as root (become: true)")


def diff(declaration: Declaration, outcome: Outcome) -> dict[str, str]:
    """Before and after of the objects governed, both read off the plan."""
    governed = declaration.governed or declaration.report
    before, after = (_declared(governed(world)) for world in (outcome.plan.before, outcome.plan.after))
    if declaration.sparse:
        before, after = _differing(before, after)
    return {
        "before_header": f"{declaration.title} (before)",
        "after_header": f"{declaration.title} (after)",
        "before": to_yaml(before),
        "after": to_yaml(after),
    }


def _declared(value: object) -> object:
    if isinstance(value, dict):
        return {key: _declared(item) for key, item in value.items() if key not in CHOSEN_BY_KERNEL}
    if isinstance(value, list):
        return [_declared(item) for item in value]
    return value


def _differing(before: object, after: object) -> tuple[object, object]:
    """Both without what is the same in both, however deep it stands."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return before, after
    pairs = {key: _differing(before.get(key), after.get(key)) for key in before if before[key] != after.get(key)}
    return (
        {key: pair[0] for key, pair in pairs.items()},
        {
            key: pairs[key][1] if key in pairs else value
            for key, value in after.items()
            if key not in before or key in pairs
        },
    )
