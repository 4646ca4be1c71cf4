# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of labs, read by ansible-core from real files, as all its commands do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing import vault
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import inventory_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

SECRETS = [("default", VaultSecret(b"open sesame"))]
OFFICE = """
plugin: nslab.linux.lab
lab:
  name: office
  prefix: o-
  nodes: {count: 2, prefix: desk, bridge: office0}
  namespaces: {printer: {sysctl: {net.ipv4.ip_forward: 1}}}
  bridges:
    office0: {subnet: 10.2.0.0/24}
  links:
    - endpoints: ["printer:eth0", "office0"]
"""
FLEET = """
plugin: nslab.linux.lab
parents: web
"""
PAIR = """
  name: pair
  namespaces: {red: {}, blue: {}}
  links:
    - {endpoints: ["red:eth0", "blue:eth0"], subnet: "10.3.{{ site }}.0/30"}
"""


class Seen:
    """An inventory that was read, and its variables as a play has them."""

    def __init__(self, sources: list[Path], cache: bool) -> None:
        self.loader = DataLoader()
        self.loader.set_vault_secrets(SECRETS)
        self.inventory = InventoryManager(self.loader, [str(path) for path in sources], cache=cache)
        self._variables = VariableManager(self.loader, self.inventory)
        HostVars(self.inventory, self._variables, self.loader)

    @property
    def hosts(self) -> list[str]:
        return list(self.inventory.hosts)

    def group(self, name: str) -> list[str]:
        return [host.name for host in self.inventory.groups[name].get_hosts()]

    def raw(self, host: str) -> dict:
        """What the inventory itself has of the host."""
        own = self.inventory.get_host(host).vars
        return {key: value for key, value in own.items() if not key.startswith("inventory_")}

    def rendered(self, host: str, name: str):
        variables = self._variables.get_vars(host=self.inventory.get_host(host))
        return Templar(loader=self.loader, variables=variables).template(variables[name])


class Room:
    """Sources in a directory, which are read together or one by one."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture) -> None:
        self.path = path
        self._capsys = capsys

    def write(self, name: str, text: str) -> Path:
        made = self.path / name
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text, encoding="utf-8")
        return made

    def read(self, *names: str, cache: bool = True) -> Seen:
        self._capsys.readouterr()
        return Seen([self.path / name for name in names] or [self.path], cache)

    def said(self) -> str:
        out, err = self._capsys.readouterr()
        return " ".join((out + err).split())


@pytest.fixture(scope="session", autouse=True)
def _vault_is_open() -> None:
    if hasattr(vault, "VaultSecretsContext") and vault.VaultSecretsContext.current(optional=True) is None:
        vault.VaultSecretsContext.initialize(vault.VaultSecretsContext(SECRETS))


@pytest.fixture
def room(tmp_path: Path, capsys: pytest.CaptureFixture) -> Room:
    return Room(tmp_path, capsys)


def test_the_documented_examples_give_the_hosts_and_groups_that_they_name(room: Room):
    page = sys.modules[type(inventory_loader.get("nslab.linux.lab")).__module__]
    own, of_parents = page.EXAMPLES.split("---\n")[1:]
    room.write("office/office.nslab.yml", own)
    room.write("fleet/fleet.nslab.yml", of_parents)
    hosts = "webservers: {hosts: {web1: {site: 1}, web2: {site: 2}}, vars: {datacenter: north}}\n"
    room.write("fleet/a.yml", hosts)
    room.write("fleet/group_vars/webservers.yml", f"nslab_lab:{PAIR}")

    office, fleet = room.read("office"), room.read("fleet")

    assert office.group("on_office0") == office.hosts == ["desk1", "desk2", "desk3", "printer"]
    assert office.group("desks") == office.hosts[:3]
    assert office.rendered("printer", "address") == "10.2.0.5"
    assert fleet.hosts[2:] == fleet.group("in_north") == ["red@web1", "blue@web1", "red@web2", "blue@web2"]
    assert fleet.group("all_blue") == ["blue@web1", "blue@web2"]
    assert "WARNING" not in room.said()


# a lab of the file itself


def test_each_namespace_is_a_host_with_what_it_takes_to_run_tasks_inside(room: Room):
    path = room.write("office.nslab.yml", OFFICE)

    seen = room.read("office.nslab.yml")

    assert (
        seen.hosts
        == ["desk1", "desk2", "printer"]
        == seen.group("nslab_namespaces")
        == seen.group("netns_on_localhost")
    )
    assert seen.raw("desk2") == {
        "ansible_connection": "nslab.linux.netns_local",
        "ansible_host": "localhost",
        "ansible_netns": "o-desk2",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "nslab_node": "desk2",
        "nslab_lab_name": "office",
        "nslab_parent": "localhost",
        "nslab_addresses": {"eth0": ["10.2.0.3/24"]},
        "nslab_peers": {"eth0": "office0"},
        "nslab_bridges": ["office0"],
        "nslab_sysctl": {},
    }
    assert seen.rendered("desk2", "ansible_python_interpreter") == sys.executable
    # The definition is what the module takes. It stands there once for each host in what ansible-inventory prints.
    assert seen.rendered("localhost", "nslab_labs") == {"office": yaml.safe_load(OFFICE)["lab"]}
    assert (
        seen.inventory.groups["all"]
        .get_vars()["nslab_labs"]["office"]
        .startswith("{{ (lookup('ansible.builtin.file', ")
    )
    assert str(path) in seen.inventory.groups["all"].get_vars()["nslab_labs"]["office"]
    assert "WARNING" not in room.said()


def test_expressions_know_what_is_declared_and_a_variable_goes_before_groups(room: Room):
    room.write("group_vars/all.yml", "town: Ulm\n")
    room.write(
        "nslab.yaml",
        OFFICE
        + """
compose:
  address: nslab_addresses.eth0[0].split('/')[0]
  where: town
groups:
  routers: nslab_sysctl['net.ipv4.ip_forward'] | default('0') == '1'
keyed_groups:
  - {key: nslab_bridges, prefix: "on"}
  - {key: address, prefix: ip, parent_group: addresses}
  - {key: no_such_thing}
""",
    )

    seen = room.read("nslab.yaml")

    assert [seen.rendered(host, "address") for host in seen.hosts] == ["10.2.0.2", "10.2.0.3", "10.2.0.4"]
    assert seen.rendered("desk1", "where") == "Ulm"
    assert seen.group("routers") == seen.group("ip_10_2_0_4") == ["printer"]
    assert seen.group("on_office0") == seen.group("addresses") == seen.hosts


def test_its_jinja_is_rendered_once_with_the_variables_of_this_machine(room: Room):
    room.write("group_vars/all.yml", "third: 7\nsecond: 1\n")
    room.write("host_vars/localhost.yml", VaultLib(SECRETS).encrypt(b"second: 9\n").decode())
    room.write("group_vars/netns_on_localhost.yml", "third: 8\n")
    room.write("nslab.yml", OFFICE.replace("10.2.0.0/24", "'10.{{ second }}.{{ third }}.0/24'"))

    seen = room.read("nslab.yml")

    assert seen.raw("desk1")["nslab_addresses"] == {"eth0": ["10.9.7.2/24"]}
    for host in "localhost", "desk1":
        assert seen.rendered(host, "nslab_labs")["office"]["bridges"] == {"office0": {"subnet": "10.9.7.0/24"}}
    assert "localhost" not in seen.hosts


def test_labs_of_several_files_are_in_one_inventory_and_a_file_may_be_read_twice(room: Room):
    room.write("office.nslab.yml", OFFICE)
    room.write("lan.nslab.yml", "plugin: nslab.linux.lab\nlab: {name: lan, namespaces: {red: }}\n")
    # What is read later may say more of a namespace.
    room.write("z.yml", "mine: {hosts: {red: {colour: ff0000}}}\n")

    seen = room.read("lan.nslab.yml", "office.nslab.yml", "lan.nslab.yml", "z.yml")

    assert seen.hosts == ["red", "desk1", "desk2", "printer"]
    assert list(seen.rendered("localhost", "nslab_labs")) == ["lan", "office"]
    assert (seen.group("mine"), seen.raw("red")["colour"]) == (["red"], "ff0000")
    assert seen.rendered("red", "ansible_netns") == "red"
    assert "WARNING" not in room.said()


@pytest.mark.parametrize(
    ("file", "why"),
    [
        pytest.param(OFFICE.replace("bridge: office0", "bridge: ofice0"), "lab office can't be so: lab.nodes.bridge: no "
                     "bridge is called 'ofice0': did you mean office0?", id="faulty"),
        pytest.param(OFFICE.replace("office0: {", "office0: {mtu: '{{ mtu }}', "), "lab can't be rendered: 'mtu' is undefined",
                     id="undefined"),
        pytest.param(OFFICE.replace("printer", "red"), "namespace red of lab office would be the host red, which is there "
                     "already, by {room}/lan.nslab.yml", id="host-of-another-lab"),
        pytest.param(OFFICE.replace("printer", "web1"), "the host web1, which is there already, by {room}/hosts.yml",
                     id="host-of-a-machine"),
        pytest.param(OFFICE.replace("printer", "web"), "the host web, and a group is called so", id="group"),
        pytest.param(OFFICE.replace("printer", "desks") + "groups: {desks: true}", "the host desks, and a group is called so",
                     id="group-of-the-file"),
        pytest.param(OFFICE + "keyed_groups: [{key: nslab_peers.values() | list, separator: ''}, {key: nslab_node, separator: ''}]",
                     "keyed_groups makes a group desk1, and a namespace is the host desk1: give keyed_groups a prefix",
                     id="keyed-group"),
        pytest.param(OFFICE.replace("name: office", "name: lan"), "a lab lan is defined in another source already",
                     id="lab-of-another-file"),
        pytest.param(OFFICE + "parents: web", "it has both lab and parents: write", id="both"),
        pytest.param("plugin: nslab.linux.lab\n", "it has neither lab nor parents: write", id="neither"),
        pytest.param("plugin: nslab.linux.lab\nlab: office.yml\n", "lab", id="no-dict"),
        pytest.param(OFFICE + "strict: true\ncompose: {a: no_such_thing}", "no_such_thing", id="strict"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_right_is_refused_in_one_line_that_names_it(file: str, why: str, room: Room):
    room.write("hosts.yml", "web: {hosts: {web1: }}\n")
    room.write("lan.nslab.yml", "plugin: nslab.linux.lab\nlab: {name: lan, namespaces: {red: }}\n")
    path = room.write("office.nslab.yml", file)

    seen = room.read("hosts.yml", "lan.nslab.yml", "office.nslab.yml")

    said = room.said()
    # ansible-core 2.18 breaks lines within paths.
    assert "".join(why.format(room=room.path).split()) in "".join(said.split())
    assert path.name in said
    if "keyed_groups" not in file and "compose" not in file:  # these are seen when the hosts are there
        assert seen.hosts == ["web1", "red"]
        assert list(seen.rendered("localhost", "nslab_labs")) == ["lan"]


@pytest.mark.parametrize("name", ["nslab.yml", "nslab.yaml", "office.nslab.yml", "my.first.nslab.yaml"])
def test_a_file_of_ours_is_known_by_its_name(name: str, room: Room):
    assert inventory_loader.get("nslab.linux.lab").verify_file(str(room.write(name, OFFICE)))


@pytest.mark.parametrize(
    "name", ["lab.yml", "unslab.yml", "office-nslab.yml", "nslab.yml.bak", "nslab.json", "nslab.ini"]
)
def test_files_of_others_are_left_to_them(name: str, room: Room):
    path = room.write(name, "web: {hosts: {web1: }}\n")
    assert not inventory_loader.get("nslab.linux.lab").verify_file(str(path))
    assert not inventory_loader.get("nslab.linux.lab").verify_file(str(room.path / "missing.nslab.yml"))
    assert "whose files are called" not in room.said()


def test_a_file_of_ours_with_another_name_is_told_of(room: Room):
    room.write("lab.yml", OFFICE)
    assert room.read("lab.yml").hosts == []
    assert (
        "lab.yml is for the plugin nslab.linux.lab, whose files are called nslab.yml or end in .nslab.yml"
        in room.said()
    )


# labs of parents


def fleet(room: Room, more: str = "") -> None:
    """web1 to web5, of which web3 and web4 have faults and web5 has no lab; and one that is this machine."""
    password = VaultLib(SECRETS).encrypt(b"hunter2").decode().replace("\n", "\n      ")
    room.write(
        "hosts.yml",
        f"""
web:
  hosts:
    web1: {{site: 1, login: admin, ansible_user: "{{{{ login }}}}-{{{{ inventory_hostname }}}}", ansible_port: 2222}}
    web2: {{site: 2, ansible_host: 192.0.2.2, ansible_connection: "{{{{ 'ssh' }}}}", ansible_become: true}}
    web3: {{site: 300}}
    web4: {{site: 4, ansible_connection: community.docker.docker}}
    web5: {{nslab_lab: "{{{{ no_such_thing }}}}"}}
    web6: {{site: 6, ansible_connection: local, ansible_python_interpreter: /opt/python}}
  vars:
    datacenter: north
    ansible_become_method: su
    ansible_su_prompt_l10n: [Passwort]
    ansible_remote_tmp: /var/tmp/ansible
    ansible_ruby_interpreter: /opt/ruby
    ansible_ssh_common_args: -F config
    ansible_timeout: 7
    ansible_netns: never
    not_ours: true
    ansible_password: !vault |
      {password}
other: {{hosts: {{db1: }}}}
""",
    )
    room.write("group_vars/web.yml", VaultLib(SECRETS).encrypt(f"nslab_lab:{PAIR}".encode()).decode())
    room.write("zz.nslab.yml", FLEET + more)


def test_the_namespaces_of_parents_are_reached_as_these_are(room: Room):
    fleet(room)

    seen = room.read()

    there = ["red@web1", "blue@web1", "red@web2", "blue@web2", "red@web6", "blue@web6"]
    assert seen.hosts[7:] == there == seen.group("nslab_namespaces")
    assert seen.group("netns_on_web2") == ["red@web2", "blue@web2"]
    assert seen.group("web") == [f"web{number}" for number in range(1, 7)]
    one, two, here = (seen.raw(f"blue@web{number}") for number in (1, 2, 6))
    shared = {
        "ansible_become_method": "su",
        "ansible_ssh_common_args": "-F config",
        "ansible_remote_tmp": "/var/tmp/ansible",
        "ansible_ruby_interpreter": "/opt/ruby",
        "ansible_timeout": 7,
        "ansible_netns": "blue",
        "nslab_node": "blue",
        "nslab_lab_name": "pair",
        "nslab_peers": {"eth0": "red"},
        "nslab_bridges": [],
        "nslab_sysctl": {},
    }
    assert one == {
        **shared,
        "ansible_connection": "nslab.linux.netns",
        "ansible_host": "web1",
        "ansible_password": "{{ hostvars['web1']['ansible_password'] }}",
        "ansible_su_prompt_l10n": "{{ hostvars['web1']['ansible_su_prompt_l10n'] }}",
        "ansible_port": 2222,
        "ansible_user": "{{ hostvars['web1']['ansible_user'] }}",
        "nslab_parent": "web1",
        "nslab_addresses": {"eth0": ["10.3.1.2/30"]},
    }
    assert two == {
        **shared,
        "ansible_connection": "nslab.linux.netns",
        "ansible_host": "192.0.2.2",
        "ansible_password": "{{ hostvars['web2']['ansible_password'] }}",
        "ansible_su_prompt_l10n": "{{ hostvars['web2']['ansible_su_prompt_l10n'] }}",
        "ansible_become": True,
        "nslab_parent": "web2",
        "nslab_addresses": {"eth0": ["10.3.2.2/30"]},
    }
    assert (here["ansible_connection"], here["ansible_host"], here["ansible_python_interpreter"]) == (
        "nslab.linux.netns_local",
        "web6",
        "/opt/python",
    )
    assert seen.rendered("red@web1", "ansible_user") == "admin-web1"
    assert seen.rendered("red@web2", "ansible_password") == "hunter2"
    assert seen.rendered("red@web2", "ansible_su_prompt_l10n") == ["Passwort"]
    assert "nslab_labs" not in seen.inventory.groups["all"].get_vars()


def test_a_parent_with_a_fault_is_left_out_and_named_and_the_others_are_taken(room: Room):
    fleet(room)
    room.read()
    said = room.said()
    assert (
        "zz.nslab.yml: web3: lab pair can't be so: nslab_lab.links[0].subnet: subnet '10.3.300.0/30' is malformed"
        in said
    )
    assert (
        "web4: it is reached by the connection community.docker.docker, which leads into none of its namespaces" in said
    )
    assert "web5: nslab_lab can't be rendered: 'no_such_thing' is undefined; its namespaces are left out" in said
    assert "web1" not in said


def test_with_strict_it_is_an_error(room: Room):
    fleet(room, "strict: true\n")
    seen = room.read()
    assert seen.hosts == [*(f"web{number}" for number in range(1, 7)), "db1"]
    assert "zz.nslab.yml: web3: lab pair can't be so" in room.said()


def test_a_pattern_chooses_the_parents_and_namespaces_are_none(room: Room):
    fleet(room)
    room.write("group_vars/all.yml", "net: {name: net, namespaces: {green: }}\n")
    room.write("zzz.nslab.yml", "plugin: nslab.linux.lab\nlab_var: net\nparents: ['all', '!web[1:3]', '!~web[56]']\n")

    seen = room.read("hosts.yml", "zz.nslab.yml", "zzz.nslab.yml")

    # web1 is at none of the places 1 to 3; db1 is in a group that is not in `all` before all sources are read.
    assert [host for host in seen.hosts if "green" in host] == ["green@web1", "green@db1"]
    assert "red@web1" not in room.said()


def test_variables_beside_the_hosts_and_beside_the_lab_file_are_seen(room: Room):
    room.write("hosts/hosts.yml", "web: {hosts: {web1: , web2: }}\n")
    room.write("hosts/group_vars/web.yml", f"nslab_lab:{PAIR}site: 0\n")
    room.write("labs/host_vars/web2.yml", "site: 2\n")
    room.write("labs/nslab.yml", FLEET)

    seen = room.read("hosts/hosts.yml", "labs/nslab.yml")

    assert seen.raw("red@web1")["nslab_addresses"] == {"eth0": ["10.3.0.1/30"]}
    assert seen.raw("red@web2")["nslab_addresses"] == {"eth0": ["10.3.2.1/30"]}


def test_a_namespace_that_is_a_host_already_is_a_fault_of_its_parent(room: Room):
    room.write(
        "hosts.yml", "web: {hosts: {web1: , red@web2: , web2: }, vars: {nslab_lab: {name: a, namespaces: {red: }}}}\n"
    )
    room.write("nslab.yml", FLEET.replace("web", "web1,web2"))
    assert room.read("hosts.yml", "nslab.yml").hosts == ["web1", "red@web2", "web2", "red@web1"]
    assert "nslab.yml: web2: namespace red of lab a would be the host red@web2, which is there already" in room.said()


def test_nobody_with_a_lab_is_told_of_and_one_without_is_not(room: Room):
    room.write("hosts.yml", "web: {hosts: {web1: , web2: }}\n")
    room.write("z.nslab.yml", FLEET)
    assert room.read("hosts.yml", "z.nslab.yml").hosts == ["web1", "web2"]
    assert "z.nslab.yml: none of the 2 hosts in parents has a lab in nslab_lab" in room.said()

    room.write("hosts.yml", "web: {hosts: {web1: , web2: {nslab_lab: {name: one, namespaces: {red: }}}}}\n")
    assert room.read("hosts.yml", "z.nslab.yml").hosts == ["web1", "web2", "red@web2"]
    assert "WARNING" not in room.said()


def test_expressions_know_the_variables_of_the_parent_below_the_own(room: Room):
    fleet(
        room,
        """
keyed_groups:
  - {key: nslab_node, prefix: every}
  - {key: datacenter, prefix: in}
  - {key: inventory_hostname, prefix: name}
compose: {site: site}
""",
    )
    seen = room.read()
    assert seen.group("every_red") == ["red@web1", "red@web2", "red@web6"]
    assert seen.group("in_north") == seen.group("nslab_namespaces")
    assert seen.group("name_red_web1") == ["red@web1"]
    assert seen.raw("red@web2")["site"] == 2
    assert "datacenter" not in seen.raw("red@web2")


def test_what_is_kept_are_the_definitions_and_no_passwords(room: Room):
    kept = room.path / "kept"
    fleet(room, f"cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {kept}\n")
    sources = ["hosts.yml", "zz.nslab.yml"]
    before = room.read(*sources)
    (file,) = kept.iterdir()
    assert "10.3.2.0/30" in file.read_text()
    assert "hunter2" not in file.read_text()
    assert "ANSIBLE_VAULT" not in file.read_text()

    room.write("group_vars/web.yml", f"nslab_lab:{PAIR}".replace("red", "green"))
    assert sorted(room.read(*sources).hosts) == sorted(before.hosts)
    # --flush-cache, and a refresh of the inventory
    assert "green@web2" in room.read(*sources, cache=False).hosts
    assert "green@web2" in room.read(*sources).hosts
