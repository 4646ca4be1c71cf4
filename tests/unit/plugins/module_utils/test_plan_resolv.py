# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ns_resolv plans: the two files of a namespace, and where the host's own servers are looked for."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._world import DirectoryState, FileState
from ansible_collections.nslab.linux.tests.unit.plugins.module_utils.imagined import plan, world

FOLDER = "/etc/netns/red"
RESOLV, HOSTS = f"{FOLDER}/resolv.conf", f"{FOLDER}/hosts"
LOCALHOST = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
SYSTEMD, ETC, MANAGER = (
    "/run/systemd/resolve/resolv.conf",
    "/etc/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
)


def there(mode: int = 0o755, **files: str):
    """A host on which the folder holds files of this content: resolv, hosts."""
    names = {"resolv": "resolv.conf", "hosts": "hosts"}
    found = {f"{FOLDER}/{names[each]}": FileState(content) for each, content in files.items()}
    folders = {
        "/etc/netns": DirectoryState(("red",)),
        FOLDER: DirectoryState(tuple(names[each] for each in files), mode),
    }
    return world(files=found, directories=folders)


def write(path: str, content: str) -> str:
    return f"install -D -m 0644 /dev/stdin {path} <<'EOF'\n{content}EOF"


def content(made, path: str = RESOLV) -> str:
    return made.after.files[path].content


def test_both_files_are_written_in_a_folder_that_everybody_may_enter():
    made = plan(
        "ns_resolv",
        world(),
        netns=["red"],
        nameservers=["192.0.2.53", "2001:db8::53"],
        search=["lab.example", "example"],
        options=["ndots:2"],
        hosts={"web": "10.0.0.1", "db": ["10.0.0.2", "fd00::2"]},
    )
    resolv = "search lab.example example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions ndots:2\n"
    hosts = f"{LOCALHOST}10.0.0.1 web\n10.0.0.2 db\nfd00::2 db\n"
    assert made.operations == [f"install -d -m 0755 {FOLDER}", write(RESOLV, resolv), write(HOSTS, hosts)]
    assert made.report["files"] == [
        {"path": RESOLV, "content": resolv, "mode": "0644"},
        {"path": HOSTS, "content": hosts, "mode": "0644"},
    ]


def test_the_folder_and_its_parent_go_again_when_undone():
    made = plan("ns_resolv", world(directories={"/etc/netns": None}), netns=["red"], hosts={})
    back = [operation.command for operation in made.plan.steps[0].inverse]
    assert back == ["rmdir /etc/netns/red", "rmdir /etc/netns"]


def test_a_file_of_which_nothing_is_declared_is_left_as_it_is():
    made = plan("ns_resolv", there(resolv="nameserver 192.0.2.1\n"), netns=["red"], hosts={})
    assert made.operations == [write(HOSTS, LOCALHOST)]
    made = plan("ns_resolv", there(hosts="10.0.0.1 x\n"), netns=["red"], nameservers=["192.0.2.1"])
    assert made.operations == [write(RESOLV, "nameserver 192.0.2.1\n")]


def test_of_resolv_conf_what_is_left_out_keeps_what_the_file_says():
    said = "# mine\ndomain old.example\nsearch lab.example\nnameserver 192.0.2.1\noptions ndots:2\noptions rotate\n"
    made = plan("ns_resolv", there(resolv=said), netns=["red"], nameservers=["192.0.2.2"])
    assert content(made) == "search lab.example\nnameserver 192.0.2.2\noptions ndots:2 rotate\n"


def test_a_file_that_says_it_already_keeps_its_comments():
    said = "# mine\noptions ndots:2\nnameserver 192.0.2.1\n; more\n"
    assert plan("ns_resolv", there(resolv=said), netns=["red"], nameservers=["192.0.2.1"]).operations == []


def test_no_nameservers_are_none():
    made = plan("ns_resolv", there(resolv="nameserver 192.0.2.1\n"), netns=["red"], nameservers=[])
    assert "nameserver 192" not in content(made)


def test_the_folder_s_mode_is_mended():
    made = plan(
        "ns_resolv", there(resolv="nameserver 192.0.2.1\n", mode=0o700), netns=["red"], nameservers=["192.0.2.1"]
    )
    assert made.operations == [f"install -d -m 0755 {FOLDER}"]


def test_a_file_s_mode_is_mended():
    imagined = there(resolv="nameserver 192.0.2.1\n")
    imagined.files[RESOLV] = FileState("nameserver 192.0.2.1\n", 0o600)
    made = plan("ns_resolv", imagined, netns=["red"], nameservers=["192.0.2.1"])
    assert made.operations == [write(RESOLV, "nameserver 192.0.2.1\n")]


# The host's own servers


def with_host(**files: str):
    paths = {"systemd": SYSTEMD, "etc": ETC, "manager": MANAGER}
    return world(files={paths[each]: FileState(text) for each, text in files.items()})


@pytest.mark.parametrize(
    ("files", "server"),
    [
        ({"etc": "nameserver 192.0.2.7\n"}, "192.0.2.7"),
        ({"etc": "nameserver 127.0.0.53\n", "systemd": "nameserver 192.0.2.8\n"}, "192.0.2.8"),
        ({"etc": "nameserver 127.0.0.1\n", "manager": "nameserver 192.0.2.9\n"}, "192.0.2.9"),
        ({"etc": "nameserver ::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.7\n"}, "192.0.2.7"),
        ({"etc": "nameserver 0.0.0.0\n", "manager": "nameserver 2001:db8::9\n"}, "2001:db8::9"),
    ],
    ids=str,
)
def test_host_stands_for_the_servers_that_a_namespace_can_reach(files, server: str):
    made = plan("ns_resolv", with_host(**files), netns=["red"], nameservers=["host"])
    assert content(made) == f"nameserver {server}\n"


def test_host_goes_with_servers_by_address_each_once():
    imagined = with_host(etc="nameserver 192.0.2.7\nnameserver 192.0.2.8\n")
    made = plan("ns_resolv", imagined, netns=["red"], nameservers=["192.0.2.8", "host"])
    assert content(made) == "nameserver 192.0.2.8\nnameserver 192.0.2.7\n"


@pytest.mark.parametrize("files", [{}, {"etc": "nameserver 127.0.0.53\n"}, {"etc": "search lab\n"}], ids=str)
@pytest.mark.parametrize("check", [True, False])
def test_a_host_without_a_server_to_name_is_an_error(files, check: bool):
    with pytest.raises(Problem, match="the host has no nameserver that a namespace can reach"):
        plan("ns_resolv", with_host(**files), check=check, netns=["red"], nameservers=["host"])


# absent


def test_absent_removes_both_files_and_the_empty_folder():
    imagined = there(resolv="nameserver 192.0.2.1\n", hosts=LOCALHOST)
    made = plan("ns_resolv", imagined, netns=["red"], state="absent")
    assert made.operations == [f"rm {RESOLV}", f"rm {HOSTS}", f"rmdir {FOLDER}"]
    assert made.report == {"files": []}


def test_another_file_in_the_folder_stays_with_it():
    imagined = there(resolv="nameserver 192.0.2.1\n")
    imagined.directories[FOLDER] = DirectoryState(("nsswitch.conf", "resolv.conf"))
    assert plan("ns_resolv", imagined, netns=["red"], state="absent").operations == [f"rm {RESOLV}"]
    assert plan("ns_resolv", world(), netns=["red"], state="absent").operations == []


# Input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nameservers": ["dns.example"]}, "nameserver 'dns.example' is no IP address"),
        ({"nameservers": ["192.0.2.1\noptions"]}, "is no IP address"),
        ({"search": ["a\nnameserver 6.6.6.6"]}, "search domain .* is not allowed"),
        ({"options": ["a b"]}, "resolver option 'a b' is not allowed"),
        ({"hosts": {"a b": "10.0.0.1"}}, "host name 'a b' is not allowed"),
        ({"hosts": {"web": "x"}}, "address of host web 'x' is no IP address"),
        ({"netns": ["../etc"]}, "namespace name '../etc' is not allowed"),
        ({"netns": ["host"]}, "can't be named 'host'"),
    ],
    ids=str,
)
def test_what_ns_resolv_refuses_before_it_looks(options, words: str):
    with pytest.raises(Problem, match=words):
        plan("ns_resolv", world(), **{"netns": ["red"], **options})
