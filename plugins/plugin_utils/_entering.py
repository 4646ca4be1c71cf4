# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that carries a command into a named namespace, and what came back from there.

A connection must never take a command that ran elsewhere, or nowhere, for one that ran inside. So success alone proves
nothing: the last shell of the way in, which runs where and as whom the command will, says so in a line on stderr, and
only an answer with that line comes from inside.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.module_utils._values import NETNS_DIR, parse_namespace_name

# A whole line, since a sudo that refuses repeats the commands that it was to run.
_INSIDE = "nslab: inside"
_MISSING = "nslab: missing:"
_NO_IP = "nslab: no ip"
_REFUSED = 213
_MOST_NAMES = 20

# $1 the command. Run where and as whom the command is to run.
_ARRIVE = f"""printf '%s\\n' '{_INSIDE}' >&2
exec /bin/sh -c "$1"
"""

# $1 the namespace, $2 the command; of a user who came by sudo also $3 uid, $4 gid, $5 groups, and $6 to $10 what sudo has
# set anew. Run by root on the host. `ip` gives what no other command does: the files of /etc/netns/NAME, a /sys of the
# namespace.
_ENTER = f"""if [ ! -e '{NETNS_DIR}'/"$1" ]; then
    echo '{_MISSING}' $(ls '{NETNS_DIR}' 2>/dev/null) >&2
    exit {_REFUSED}
fi
if ! ip=$(PATH=$PATH:/usr/sbin:/sbin; command -v ip); then
    echo '{_NO_IP}' >&2
    exit {_REFUSED}
fi
netns=$1 command=$2
if [ $# -gt 2 ]; then
    uid=$3 gid=$4 groups=$5
    export PATH="$6" HOME="$7" USER="$8" LOGNAME="$9" SHELL="${{10}}"
    unset MAIL SUDO_COMMAND SUDO_GID SUDO_HOME SUDO_UID SUDO_USER
    set -- setpriv --reuid "$uid" --regid "$gid" --groups "$groups" --
else
    set --
fi
exec "$ip" netns exec "$netns" "$@" /bin/sh -c {shlex.quote(_ARRIVE)} nslab "$command"
"""


def wrap(netns: str, command: str, sudo: str) -> str:
    """The line for a shell of the login user that runs the command, itself such a line, inside the namespace.

    ``sudo`` is what a user other than root puts before a command to be root, in the words of a shell; empty: nothing.
    Root is told from others on the spot: over ssh nobody else knows.

    :raises Problem: what is given is no name of a namespace, or no words.
    """
    name = namespace_name(netns)
    enter = shlex.join(["/bin/sh", "-c", _ENTER, "nslab", name, command])
    as_root = " ".join([*_words(sudo), enter])
    of_the_user = '"$(id -u)" "$(id -g)" "$(id -G | tr " " ,)" "$PATH" "${HOME:-/}" "${USER:-}" "${LOGNAME:-}" "${SHELL:-/bin/sh}"'
    return f'if [ "$(id -u)" = 0 ]; then exec {enter}; else exec {as_root} {of_the_user}; fi'


def namespace_name(text: object) -> str:
    """The name that is meant; also by its path. ``host`` is none, lest a task run in the host's namespace."""
    if not isinstance(text, str):
        raise Problem(f"ansible_netns is {text!r}", "give the name of a namespace")
    prefix = NETNS_DIR + "/"
    return parse_namespace_name(text[len(prefix) :] if text.startswith(prefix) else text)


def asked_host(variables: t.Mapping[str, t.Any], address: str) -> str:
    """The inventory's name of the host that a task runs on, which may have been delegated.

    Then ansible-core gives the connection the variables of that host but for one: inventory_hostname goes on naming the
    host that delegates, and ``ansible_netns: "{{ inventory_hostname }}"`` its namespace.
    """
    told, short = str(variables.get("inventory_hostname")), str(variables.get("inventory_hostname_short"))
    known = (variables.get("groups") or {}).get("all") or ()
    if address in known and short in _short_names(address):
        return address
    if short in _short_names(told):
        return told
    alike = [name for name in known if short in _short_names(name)]
    return str(alike[0]) if len(alike) == 1 else address


def _short_names(name: str) -> tuple[str, str]:
    """That of an address is all of it."""
    return name, name.partition(".")[0]


def _words(sudo: str) -> list[str]:
    try:
        return [shlex.quote(word) for word in shlex.split(sudo)]
    except ValueError as error:
        raise Problem(f"ansible_netns_sudo {sudo!r} can't be read ({error})", "close its quotes") from None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a wrapped command left behind: whether it came from inside, and both streams without our own line."""

    inside: bool
    stdout: bytes
    stderr: bytes


_ARRIVED = re.compile(rb"^" + _INSIDE.encode() + rb"\r?\n", re.MULTILINE)


def read(stdout: bytes, stderr: bytes) -> Answer:
    """Takes our line out; with a terminal stderr comes on stdout, and there the line is looked for too."""
    for number, stream in enumerate((stderr, stdout)):
        found = _ARRIVED.search(stream)
        if found:
            rest = stream[: found.start()] + stream[found.end() :]
            return Answer(True, stdout, rest) if number == 0 else Answer(True, rest, stderr)
    return Answer(False, stdout, stderr)


def why_outside(netns: str, host: str, user: str, sudo: str, code: int, answer: Answer) -> str:
    """In one line, for a person: why nobody got into the namespace."""
    said = (answer.stderr or answer.stdout).decode("utf-8", "replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(_MISSING):
            return f"namespace {netns!r} does not exist on {host}: {_those_there(line[len(_MISSING) :].split())}"
        if line == _NO_IP:
            return f"namespace {netns!r} of {host} can't be entered: ip is not there, install iproute2"
    last = lines[-1] if lines else f"nothing was said, and the exit code was {code}"
    if "Invalid argument" in last:
        return f"{NETNS_DIR}/{netns} of {host} is a file but no namespace: remove it, and make the namespace again"
    problem = f"namespace {netns!r} of {host} can't be entered as {user}: {last}"
    if lines and "setpriv" in last:
        return f"{problem}; setpriv is of the package util-linux"
    if user != "root" and sudo.strip():
        return f"{problem}; what makes {user} root is {sudo!r} (ansible_netns_sudo), allow it or log in as root"
    return problem


def _those_there(names: list[str]) -> str:
    if not names:
        return "there are none"
    more = len(names) - _MOST_NAMES
    shown = ", ".join(sorted(names)[:_MOST_NAMES])
    return f"there are {shown} and {more} more" if more > 0 else f"there {'is' if len(names) == 1 else 'are'} {shown}"
