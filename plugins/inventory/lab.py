# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: The namespaces of labs as hosts of an inventory
version_added: 0.1.0
author:
  - nslab contributors (!UNKNOWN)
description:
  - Makes one host of each network namespace of a lab, so that tasks run inside it. The definition is that of the module
    M(nslab.linux.lab); it stands in the file itself (O(lab)) or in a variable of hosts of earlier sources (O(parents)),
    and is written once, to be built and to be used.
  - The file is called C(nslab.yml), or ends in C(.nslab.yml), as in C(office.nslab.yml); C(.yaml) will do. Its first line
    is C(plugin) as below. Nothing has to be enabled, as long as the inventory plugin P(ansible.builtin.auto#inventory) is,
    which it is by default.
  - Nothing is looked at but the definition. Whether the namespaces exist is seen when tasks run, and a host whose
    namespace does not is then unreachable, with a message that names it.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [nslab.linux.lab]
  lab:
    description:
      - The definition of a lab on the machine that runs Ansible, as O(nslab.linux.lab#module:definition) takes it, with
        its C(name) in it.
      - Its hosts are called as its nodes, C(red). Tasks run over P(nslab.linux.netns_local#connection), with the Python
        that runs Ansible.
      - Jinja in it is rendered with the variables of C(localhost), of C(group_vars/all), and those on the command line.
      - Anything wrong with the definition is an error, whatever O(strict) says, and all of it is told, each fault with
        its place. The file then gives no hosts.
    type: dict
  parents:
    description:
      - A host pattern as in a play, or a list of such, of hosts from earlier sources of the inventory. Sources are read in
        the order of the command line, those of a directory by their names. V(all) is every host so far.
      - Of these, each that has the variable O(lab_var) has the lab which that defines. The others are passed over; C(-v)
        names them.
      - The hosts are called by node and parent, C(red@web1), on each parent, also if it is a single one or C(localhost).
        Tasks run over P(nslab.linux.netns#connection) if the parent is reached by ssh, over
        P(nslab.linux.netns_local#connection) if it is by C(local). A parent with another connection has a fault.
      - A parent with a fault is left out with a warning, and the others are taken. With O(strict=true) it is an error.
      - Namespaces of labs are never parents, so that V(all) may be said after other sources of this plugin.
      - One of O(lab) and O(parents) is required, and they exclude each other. The lab of one file on many hosts is a
        variable in their C(group_vars).
    type: list
    elements: str
  lab_var:
    description:
      - The variable in which each of O(parents) has its definition.
      - It is taken as a play on that host would see it, with C(group_vars) and C(host_vars) that lie beside the sources so
        far, vaulted ones too, and rendered. Variables beside a playbook are not known when an inventory is read.
    type: str
    default: nslab_lab
  strict:
    description:
      - Whether an expression in O(compose), O(groups) and O(keyed_groups) that fails, and a parent that has a fault, are
        errors. Otherwise the expression is passed over, and the parent left out with a warning.
    type: bool
    default: false
notes:
  - Each host has the variables C(ansible_netns) (the name on its host, with the C(prefix) of the lab), C(nslab_node) (the
    name in the definition), C(nslab_lab_name) and C(nslab_parent) (the host that it is a namespace of, C(localhost) for
    O(lab)).
  - Each host has what its definition says of it, too. C(nslab_addresses), a list of CIDR for each of its interfaces;
    C(nslab_peers), for each of its interfaces the node that it leads to; C(nslab_bridges), the bridges that it is plugged
    into; C(nslab_sysctl), with the names in dots. Addresses of a C(subnet) are those of a new lab. One that was changed in
    place may have kept others, which M(nslab.linux.lab_info) tells.
  - Each host is in the group C(nslab_namespaces) and in C(netns_on_PARENT), in whose name other signs than letters, digits
    and C(_) are C(_).
  - The group C(all) gets the variable C(nslab_labs), a dict of the definitions under O(lab) by the name of each lab, of
    all sources of this plugin together. The playbook C(nslab.linux.lab) builds these. A definition without Jinja stands
    there as an expression that reads it from its file.
  - Of a parent are taken over the variables by which it is reached, those that its connection, shell and become plugins
    document and those of ansible-core, such as C(ansible_port), C(ansible_user), C(ansible_password),
    C(ansible_ssh_common_args), C(ansible_become) or C(ansible_python_interpreter); and C(ansible_host), which is the
    parent's name if it has none. Its groups and all its other variables are not. O(compose) can take over more.
  - A connection variable of a parent that is a template, or vaulted, is looked up when a task needs it, as the parent's own
    (C({{ hostvars['web1']['ansible_password'] }})). No password stands in what C(ansible-inventory) prints.
  - Expressions in O(compose), O(groups) and O(keyed_groups) know the host's own variables, and below them all those of its
    parent. The variables that C(host_vars) and C(group_vars) have of the namespace itself come later.
  - A host called like a group, like a host that is there already, or V(localhost) is refused. So two labs in one inventory
    under O(lab) need nodes of different names. A file of another plugin that says more of a namespace, such as groups of
    your own that it is in, goes after the one of its lab.
  - Ansible warns of a source that has an error, and goes on without it. With C(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true) it
    stops.
  - With O(cache=true) the rendered definitions of O(parents) are kept, in clear text and until they expire or
    C(--flush-cache). The rest is read each time, and so is O(lab).
seealso:
  - module: nslab.linux.lab
  - module: nslab.linux.lab_info
  - plugin: nslab.linux.netns_local
    plugin_type: connection
  - plugin: nslab.linux.netns
    plugin_type: connection
"""

EXAMPLES = r"""
# office.nslab.yml - a lab on this machine. To build it, to use it, to remove it, as root:
#   ansible-playbook -i office.nslab.yml nslab.linux.lab
#   ansible -i office.nslab.yml all -m ping
#   ansible-playbook -i office.nslab.yml nslab.linux.lab -e nslab_state=absent
---
plugin: nslab.linux.lab
lab:
  name: office
  nodes: {count: 3, prefix: desk, bridge: office0}
  namespaces: {printer: {}}
  bridges:
    office0: {subnet: 10.2.0.0/24}
  links:
    - endpoints: ["printer:eth0", "office0"]
  hosts: true
# desk1, desk2, desk3 and printer are in the group on_office0, the desks in desks, too.
keyed_groups:
  - {key: nslab_bridges, prefix: "on"}
groups:
  desks: nslab_node is match('desk')
compose:
  address: nslab_addresses.eth0 | first | ansible.builtin.split('/') | first

# A task that builds the same lab, without the playbook.
#   - nslab.linux.lab:
#       definition: "{{ nslab_labs.office }}"
# And one in a play without this inventory.
#   - nslab.linux.lab:
#       definition: "{{ (lookup('ansible.builtin.file', 'office.nslab.yml') | from_yaml).lab }}"

# fleet.nslab.yml - labs of hosts that stand in another source, reached by ssh.
#   ansible -i hosts.yml -i fleet.nslab.yml nslab_namespaces -m ping
---
plugin: nslab.linux.lab
parents: webservers
# web1 and web2 of the group webservers have red@web1, blue@web1, red@web2 and blue@web2 if group_vars/webservers.yml says
#   nslab_lab:
#     name: pair
#     namespaces: {red: {}, blue: {}}
#     links:
#       - endpoints: ["red:eth0", "blue:eth0"]
#         subnet: 10.3.{{ site }}.0/30
# with site in the host_vars of each.
keyed_groups:
  - {key: nslab_node, prefix: all}          # all_red, all_blue
  - {key: datacenter, prefix: in}           # a variable of the parents
strict: true
"""

import os
import re
import typing as t

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils._lab_hosts import (
    EVERY_NAMESPACE,
    OF_THIS_MACHINE,
    LabHost,
    check_names,
    host_name,
    read_hosts,
)
from ansible_collections.nslab.linux.plugins.plugin_utils._parents import (
    Inventory,
    definition_in,
    of_this_machine,
    plain,
    reached_by,
    way_inside,
)

OURS = re.compile(r"(.+\.)?nslab\.ya?ml\Z")
LABS = "nslab_labs"


class Site(t.NamedTuple):
    """A lab on a host: its namespaces by their names in the inventory, and the variables of its parent."""

    lab: str
    parent: str
    hosts: dict[str, LabHost]
    connection: dict[str, t.Any]
    variables: dict[str, t.Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """A host for each namespace. A file is read wholly, and only then is anything added to the inventory."""

    NAME = "nslab.linux.lab"

    def verify_file(self, path: str) -> bool:
        if not super().verify_file(path):
            return False
        ours = bool(OURS.match(os.path.basename(path)))
        if not ours and path.endswith((".yml", ".yaml")) and _names_us(path):
            self.display.warning(
                f"{path} is for the plugin {self.NAME}, whose files are called nslab.yml or end in .nslab.yml"
            )
        return ours

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        known = Inventory(inventory, loader, path)
        lab, patterns = self.get_option("lab"), self.get_option("parents")
        try:
            if (lab is None) == (patterns is None):
                raise Problem(
                    "it has neither lab nor parents" if lab is None else "it has both lab and parents",
                    "write under lab the definition of one on this machine, or under parents which hosts have one in "
                    f"{self.get_option('lab_var')}, of which a lab for many is in the group_vars",
                )
            if lab is None:
                sites = self._of_parents(known, patterns, path, cache)
            else:
                sites = [self._of_this_machine(known, lab, path)]
        except Problem as problem:
            raise AnsibleParserError(f"{path}: {problem}") from None
        for site in sites:
            self._add(site)
        self._construct(sites, path)

    # a lab of the file itself

    def _of_this_machine(self, known: Inventory, lab: t.Any, path: str) -> Site:
        variables = known.variables(known.this_machine())
        definition = self._rendered(lab, variables, "lab")
        name, hosts = read_hosts(definition, "lab")
        site = Site(name, OF_THIS_MACHINE, {each.node: each for each in hosts}, of_this_machine(), variables)
        self._check(site, path)
        labs = dict(self.inventory.groups["all"].get_vars().get(LABS) or {})
        # Rendered by whoever uses it, it would have the variables of another host.
        shared = plain(definition) if self.templar.is_template(lab) else definition_in(path)
        if labs.setdefault(name, shared) != shared:
            raise Problem(f"a lab {name} is defined in another source already", "give one of the two another name")
        self.inventory.set_variable("all", LABS, labs)
        return site

    # labs of other hosts

    def _of_parents(self, known: Inventory, patterns: t.Sequence[str], path: str, cache: bool) -> list[Site]:
        variable, parents = self.get_option("lab_var"), known.parents(patterns)
        key = self.get_cache_key(f"{path} {variable}")
        kept = self._kept(key) if cache else {}
        definitions, sites = {}, []
        for host in parents:
            try:
                variables = known.variables(host)
                if variable not in variables:
                    self.display.v(f"{path}: {host.name} has no {variable} and is passed over")
                    continue
                definition = kept.get(host.name) or self._rendered(variables[variable], variables, variable)
                sites.append(self._of_parent(host.name, definition, variables, path))
                definitions[host.name] = definition
            except (Problem, AnsibleError) as problem:
                said = f"{host.name}: {problem}"
                if self.get_option("strict"):
                    raise Problem(said) from None
                self.display.warning(f"{path}: {said}; its namespaces are left out")
        if parents and not sites and not definitions:
            self.display.warning(f"{path}: none of the {len(parents)} hosts in parents has a lab in {variable}")
        if self.get_option("cache"):
            self._cache[key] = definitions
        return sites

    def _kept(self, key: str) -> dict[str, t.Any]:
        if not self.get_option("cache"):
            return {}
        try:
            return dict(self._cache[key])
        except KeyError:
            return {}

    def _of_parent(self, name: str, definition: t.Any, variables: dict[str, t.Any], path: str) -> Site:
        lab, hosts = read_hosts(definition, self.get_option("lab_var"))
        self.templar.available_variables = variables
        connection = reached_by(name, variables, way_inside(variables, self.templar), self.templar)
        site = Site(lab, name, {host_name(each.node, name): each for each in hosts}, connection, variables)
        self._check(site, path)
        return site

    # what both have

    def _rendered(self, definition: t.Any, variables: dict[str, t.Any], place: str) -> t.Any:
        self.templar.available_variables = variables
        try:
            return self.templar.template(definition)
        except AnsibleError as error:
            raise Problem(f"{place} can't be rendered: {error}") from None

    def _groups_of(self, site: Site) -> list[str]:
        return [EVERY_NAMESPACE, self._sanitize_group_name(f"netns_on_{site.parent}")]

    def _check(self, site: Site, path: str) -> None:
        """A host that this file has made is the same one: a source may be given twice."""
        there = {name: self.inventory.hosts[name].vars for name in site.hosts if name in self.inventory.hosts}
        taken = {
            name: of.get("inventory_file") or "another source"
            for name, of in there.items()
            if (of.get("inventory_file"), of.get("nslab_lab_name")) != (self.inventory.current_source, site.lab)
        }
        constructed = (self._sanitize_group_name(name) for name in self.get_option("groups") or ())
        groups = {*self.inventory.groups, *self._groups_of(site), *constructed}
        check_names(site.lab, {name: host.node for name, host in site.hosts.items()}, taken, groups)

    def _add(self, site: Site) -> None:
        groups = [self.inventory.add_group(name) for name in self._groups_of(site)]
        connection = {key: plain(value) for key, value in site.connection.items()}
        for name, host in site.hosts.items():
            for group in groups:
                self.inventory.add_host(name, group=group)
            for key, value in {**connection, **plain(host.variables(site.lab, site.parent))}.items():
                self.inventory.set_variable(name, key, value)

    def _construct(self, sites: t.Sequence[Site], path: str) -> None:
        """Variables before groups: a group that is called like a host would get that one's variables."""
        strict, compose = self.get_option("strict"), self.get_option("compose")
        groups, keyed_groups = self.get_option("groups"), self.get_option("keyed_groups")
        if compose:
            for site, name in _each(sites):
                self._set_composite_vars(compose, self._variables_of(site, name), name, strict=strict)
        if groups or keyed_groups:
            for site, name in _each(sites):
                variables = self._variables_of(site, name)
                self._add_host_to_composed_groups(groups, variables, name, strict=strict, fetch_hostvars=False)
                self._add_host_to_keyed_groups(keyed_groups, variables, name, strict=strict, fetch_hostvars=False)
        for _site, name in _each(sites):
            if name in self.inventory.groups:
                said = f"{path}: keyed_groups makes a group {name}, and a namespace is the host {name}"
                raise AnsibleParserError(f"{said}: give keyed_groups a prefix")

    def _variables_of(self, site: Site, name: str) -> dict[str, t.Any]:
        return {**site.variables, **self.inventory.hosts[name].get_vars()}


def _names_us(path: str) -> bool:
    with open(path, "rb") as file:
        return re.search(rb"^plugin:\s*['\"]?nslab\.linux\.lab\b", file.read(4096), re.MULTILINE) is not None


def _each(sites: t.Iterable[Site]) -> t.Iterator[tuple[Site, str]]:
    for site in sites:
        for name in site.hosts:
            yield site, name
