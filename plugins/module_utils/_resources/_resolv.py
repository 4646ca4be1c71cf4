# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolver files of a namespace, /etc/netns/NAME/resolv.conf and hosts, which ip-netns(8) binds over those in /etc.

Source: resolv.conf(5), hosts(5), ip-netns(8), systemd-resolved.service(8) for where the real upstreams stand.
"""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._values import (
    ETC_NETNS,
    IPAddress,
    parse_host_name,
    parse_ip,
    parse_namespace_name,
    parse_resolver_option,
    parse_search_domain,
)
from .._world import FileState, Need, NeedDirectory, NeedFile, World
from ._file import DropDirectory, DropFile, MakeDirectory, PutFile

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
# Where a host keeps the servers that it asks in the end; the first file that names one that is not on a loopback counts.
UPSTREAM_FILES = ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
LOCALHOST = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback")


@dataclasses.dataclass(frozen=True)
class ResolvConf:
    """What a resolv.conf says; None in a wish is not managed."""

    nameservers: tuple[str, ...] | None = None
    search: tuple[str, ...] | None = None
    options: tuple[str, ...] | None = None

    @property
    def managed(self) -> bool:
        return self != ResolvConf()

    def over(self, other: ResolvConf) -> ResolvConf:
        """This, and where it says nothing the other."""
        return ResolvConf(
            other.nameservers if self.nameservers is None else self.nameservers,
            other.search if self.search is None else self.search,
            other.options if self.options is None else self.options,
        )

    def text(self) -> str:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {server}" for server in self.nameservers or ()]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines) or "# no nameservers\n"


def parse_resolv_conf(text: str) -> ResolvConf:
    """As the C library reads it: the last search line counts, options add up."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return ResolvConf(tuple(nameservers), search, tuple(options))


def parse_hosts(text: str) -> dict[str, list[str]]:
    """The addresses of each name, in the order of the lines."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            if address not in found.setdefault(name, []):
                found[name].append(address)
    return found


def upstreams(world: World) -> tuple[str, ...]:
    """The servers that the host asks in the end, such as a namespace can reach: on no loopback, with no scope."""
    for path in UPSTREAM_FILES:
        state = world.files.get(path)
        servers = parse_resolv_conf(state.content).nameservers if state is not None else ()
        found = tuple(server for server in servers or () if _reachable(server))
        if found:
            return found
    raise Problem(
        "the host has no nameserver that a namespace can reach: those in /etc/resolv.conf are on a loopback, or there"
        " are none",
        "name servers in nameservers instead of the word host",
    )


def _reachable(server: str) -> bool:
    try:
        address = parse_ip(server, "nameserver")
    except Problem:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)


@dataclasses.dataclass(frozen=True)
class ResolverFiles:
    """The files of one namespace; ``hosts`` None is not managed. With ``present`` false neither is there."""

    name: str
    resolv: ResolvConf = ResolvConf()
    hosts: str | None = None
    present: bool = True

    @property
    def folder(self) -> str:
        return f"{ETC_NETNS}/{self.name}"

    @property
    def paths(self) -> tuple[str, str]:
        return (f"{self.folder}/resolv.conf", f"{self.folder}/hosts")

    def needs(self, world: World) -> t.Iterable[Need]:
        found: list[Need] = [NeedDirectory(ETC_NETNS), NeedDirectory(self.folder)]
        found += [NeedFile(path) for path in self.paths]
        if "host" in (self.resolv.nameservers or ()):
            found += [NeedFile(path) for path in UPSTREAM_FILES]
        return found

    def plan(self, draft: Draft) -> None:
        if not self.present:
            self._plan_absent(draft)
            return
        wishes = [(path, content) for path, content in zip(self.paths, self._contents(draft.world)) if content]
        folder = draft.world.directories[self.folder]
        if wishes and (folder is None or folder.mode != DIRECTORY_MODE):
            draft.do(MakeDirectory(self.folder, DIRECTORY_MODE))
        for path, content in wishes:
            observed = draft.world.files[path]
            if observed is None and folder is not None and path.rpartition("/")[2] in folder.names:
                raise Problem(f"{path} is no plain file", "look what it is, and remove it")
            if observed is None or (observed.content, observed.mode) != (content, FILE_MODE):
                draft.do(PutFile(path, FileState(content, FILE_MODE)))

    def _contents(self, world: World) -> tuple[str | None, str | None]:
        if not self.resolv.managed:
            return (None, self.hosts)
        wanted = self.resolv
        if "host" in (wanted.nameservers or ()):
            servers = [each for server in wanted.nameservers or () for each in _named(world, server)]
            wanted = dataclasses.replace(wanted, nameservers=tuple(dict.fromkeys(servers)))
        observed = world.files[self.paths[0]]
        if observed is not None:
            said = parse_resolv_conf(observed.content)
            if wanted.over(said) == said and observed.mode == FILE_MODE:
                return (observed.content, self.hosts)  # comments and order of lines are the user's own
            wanted = wanted.over(said)
        return (wanted.text(), self.hosts)

    def _plan_absent(self, draft: Draft) -> None:
        folder = draft.world.directories[self.folder]
        if folder is None:
            return
        gone = [path for path in self.paths if draft.world.files[path] is not None]
        for path in gone:
            draft.do(DropFile(path))
        if not folder.linked and set(folder.names) <= {path.rpartition("/")[2] for path in gone}:
            draft.do(DropDirectory(self.folder))


def _named(world: World, server: str) -> tuple[str, ...]:
    return upstreams(world) if server == "host" else (server,)


# from the options of the module


def hosts_text(hosts: t.Mapping[str, t.Any]) -> str:
    """The lines of localhost, then one for each address of each name, in the order declared."""
    lines = list(LOCALHOST)
    for name, given in hosts.items():
        parse_host_name(str(name))
        for address in given if isinstance(given, (list, tuple)) else [given]:
            lines.append(f"{_host_address(address, str(name))} {name}")
    return "".join(f"{line}\n" for line in lines)


def _host_address(text: object, name: str) -> IPAddress:
    return parse_ip(str(text), f"address of host {name}")


def parse_resolv(params: t.Mapping[str, t.Any]) -> ResolvConf:
    """:raises Problem: a nameserver, search domain or option is none."""
    servers = params.get("nameservers")
    if servers is not None:
        servers = tuple(each if each == "host" else str(parse_ip(each, "nameserver")) for each in servers)
    search, options = params.get("search"), params.get("options")
    return ResolvConf(
        servers,
        None if search is None else tuple(parse_search_domain(domain) for domain in search),
        None if options is None else tuple(parse_resolver_option(option) for option in options),
    )


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """The resolver files of namespaces, by name: the namespaces themselves need not exist yet."""
    names = list(dict.fromkeys(parse_namespace_name(name) for name in params["netns"]))
    hosts = None if params.get("hosts") is None else hosts_text(params["hosts"])
    present = params["state"] == "present"
    found = [ResolverFiles(name, parse_resolv(params) if present else ResolvConf(), hosts, present) for name in names]
    resources: list[Resource] = list(found)

    def report(world: World) -> dict[str, object]:
        paths = [path for files in found for path in files.paths]
        return {"files": [shown for path in paths for shown in _report(world, path)]}

    shown = ", ".join(shlex.quote(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")

    def governed(world: World) -> object:
        folders = {files.folder: world.directories.get(files.folder) for files in found}
        modes = {path: None if state is None else f"{state.mode:04o}" for path, state in folders.items()}
        return {**report(world), "directories": modes}

    return Declaration(resources, report, f"resolver files of {shown}", governed)


def _report(world: World, path: str) -> list[dict[str, object]]:
    state = world.files.get(path)
    if state is None:
        return []
    text = state.content.encode(errors="surrogateescape").decode(errors="replace")  # what was not UTF-8 can't be shown
    return [{"path": path, "content": text, "mode": f"{state.mode:04o}"}]
