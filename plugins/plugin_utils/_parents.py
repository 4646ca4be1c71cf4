# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have namespaces, as an inventory knows them while it is still being read: which, with which variables, and
those of them by which a host is reached.

The variables are put together by ansible-core itself, as for a play, so that group_vars, host_vars, extra variables and
their order of precedence are what they will be when tasks run.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible import constants
from ansible.inventory.host import Host
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem

from ._lab_hosts import EVERY_NAMESPACE, OF_THIS_MACHINE

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, to which every text is a template

    def trust_as_template(value: str) -> str:
        return value


INTO_THIS_MACHINE = "nslab.linux.netns_local"
OVER_SSH = "nslab.linux.netns"
_INTO = {"local": INTO_THIS_MACHINE, "ssh": OVER_SSH, "smart": OVER_SSH}
_CORE = re.compile(r"^ansible\.(builtin|legacy)\.")
_INTERPRETER = re.compile(r"ansible_\w+_interpreter\Z")
_NO_TEMPLATE = re.compile(r"[\w./:@+, -]*\Z")

Variables = dict[str, t.Any]


class Rendering(t.Protocol):
    """ansible-core's Templar."""

    available_variables: t.Any

    def template(self, variable: t.Any) -> t.Any: ...

    def is_template(self, data: t.Any) -> bool: ...


class Inventory(InventoryManager):  # type: ignore[misc]
    """What the sources so far have given."""

    def __init__(self, data: t.Any, loader: t.Any, path: str) -> None:
        """``path`` is the source being read: group_vars and host_vars beside it hold, too."""
        sources = [source for source in (*data.processed_sources, path) if source]
        super().__init__(loader, sources=sources, parse=False)
        self._inventory = data
        self._variables = VariableManager(loader=loader, inventory=self)
        HostVars(inventory=self, variable_manager=self._variables, loader=loader)

    def parents(self, patterns: t.Sequence[str]) -> list[t.Any]:
        """The hosts that are meant, in the order of the inventory. A namespace is nobody's parent.

        The group `all` is filled only when all sources have been read; here it means every host so far.
        """
        words = [re.sub(r"^([!&]?)all$", r"\1*", word) for word in split_host_pattern(list(patterns))]
        found = self.get_hosts(words, ignore_limits=True, ignore_restrictions=True) if words else []
        namespaces = self.groups.get(EVERY_NAMESPACE)
        inside = set() if namespaces is None else {host.name for host in namespaces.get_hosts()}
        return [host for host in found if host.name not in inside]

    def variables(self, host: t.Any) -> Variables:
        """As a play would see them on the host."""
        return dict(self._variables.get_vars(host=host))

    def this_machine(self) -> t.Any:
        """The machine that runs Ansible, as the inventory has it; else as ansible-core would add it."""
        if OF_THIS_MACHINE in self.hosts:
            return self.hosts[OF_THIS_MACHINE]
        machine = Host(OF_THIS_MACHINE)  # not in the inventory, which would warn of one that comes later
        machine.implicit = True
        return machine


def way_inside(variables: Variables, templar: Rendering) -> str:
    """The connection into a namespace of the host with these variables.

    :raises Problem: none leads there.
    """
    given = str(templar.template(variables.get("ansible_connection") or constants.DEFAULT_TRANSPORT))
    way = _INTO.get(_CORE.sub("", given))
    if way is None:
        raise Problem(
            f"it is reached by the connection {given}, which leads into none of its namespaces",
            "use ssh, or local for this machine, or leave the host out of parents",
        )
    return way


def reached_by(name: str, variables: Variables, way: str, templar: Rendering) -> Variables:
    """What is taken over of the variables of the host `name`, for tasks in its namespaces to reach it as its own do.

    What is a template, or vaulted, is looked up when it is used, as the host's: it may name variables which only the host
    has, and a secret is not to be asked for before it is needed, nor to stand in the inventory in plain sight.
    """
    known = {
        *_names_of("connection", way),
        *_names_of("shell", "sh", _said(variables, "ansible_shell_type", templar)),
        *_names_of("become", "sudo", _said(variables, "ansible_become_method", templar)),
        *_names_of_all(),
    }
    found = {
        key: _as_of(name, key, value, templar)
        for key, value in variables.items()
        if key in known or _INTERPRETER.match(key)
    }
    address = next((key for key in ("ansible_host", "ansible_ssh_host") if variables.get(key)), None)
    # Never left out: a namespace has no address of its own.
    found["ansible_host"] = name if address is None else _as_of(name, address, variables[address], templar)
    found["ansible_connection"] = way
    return found


def of_this_machine() -> Variables:
    """The same of the machine that runs Ansible, as for its implicit localhost."""
    return {
        "ansible_host": OF_THIS_MACHINE,
        "ansible_connection": INTO_THIS_MACHINE,
        "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}"),
    }


def plain(value: t.Any) -> t.Any:
    """The value, its texts marked so that ansible-inventory prints them as they are: those that can't be a template."""
    if isinstance(value, str):
        return trust_as_template(value) if _NO_TEMPLATE.match(value) else value
    if isinstance(value, t.Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def definition_in(path: str) -> t.Any:
    """What the definition of a lab file is, read when it is used.

    A variable of the group all stands once for each host in what ansible-inventory prints: of a lab of a thousand
    namespaces that are written one by one these would be hundreds of megabytes.
    """
    return trust_as_template(f"{{{{ (lookup('ansible.builtin.file', {path!r}) | from_yaml).lab }}}}")


def _as_of(name: str, key: str, value: t.Any, templar: Rendering) -> t.Any:
    if isinstance(value, (int, float)) or (isinstance(value, str) and not templar.is_template(value)):
        return value
    return trust_as_template(f"{{{{ hostvars[{name!r}][{key!r}] }}}}")


def _said(variables: Variables, key: str, templar: Rendering) -> str:
    return str(templar.template(variables[key])) if variables.get(key) else ""


@functools.cache
def _names_of_all() -> frozenset[str]:
    """Those that ansible-core itself looks at, whatever the plugins are."""
    settings = (
        entry["name"]
        for one in constants.config.get_configuration_definitions().values()
        for entry in one.get("vars") or ()
    )
    return _usable([*settings, *(name for names in constants.MAGIC_VARIABLE_MAPPING.values() for name in names)])


_LOADERS = {"connection": connection_loader, "shell": shell_loader, "become": become_loader}


@functools.cache
def _names_of(kind: str, *plugins: str) -> frozenset[str]:
    """The variables that stand in the plugins' own documentation, of those plugins that there are."""
    found: list[str] = []
    for plugin in plugins:
        made = _LOADERS[kind].get(plugin, class_only=True) if plugin else None
        if made is not None:
            found += constants.config.get_plugin_vars(kind, made._load_name)
    return _usable(found)


def _usable(names: t.Iterable[str]) -> frozenset[str]:
    """Without what is no variable of a host: inventory_hostname, or a place within another."""
    return frozenset(name for name in names if re.match(r"ansible_\w+\Z", name))
