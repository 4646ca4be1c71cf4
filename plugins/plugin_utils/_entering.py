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

# A whole line, since a sudo that refuses repeats the commands that it was to run. It begins one of its own: what a server or
# a shell says before need not end with its line.
_INSIDE = "nslab: inside"
_MISSING = "nslab: missing:"
_OF_THE_HOST = "nslab: of the host"
_ELSEWHERE = "nslab: elsewhere"
_NO_IP = "nslab: no ip"
_REFUSED = 213
_MOST_NAMES = 20


def _script(text: str) -> str:
    """In one line, which any login shell takes as a word: csh ends a word where its line ends."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


# $1 the command. Run where and as whom the command is to run.
_ARRIVE = _script(f"""
    printf "\\n{_INSIDE}\\n" >&2;
    exec /bin/sh -c "$1";
""")

# $1 the path of the namespace, $2 the command, $3 how to arrive, and then what makes the login user of root. Run by root
# where `ip` has led: by the inode that is where we were to go. Of a /run/netns that is closed to others root can still tell.
_PROVE = _script(f"""
    if [ ! "$1" -ef /proc/self/ns/net ]; then
        printf "\\n{_ELSEWHERE}\\n" >&2;
        exit {_REFUSED};
    fi;
    command=$2 arrive=$3;
    shift 3;
    if [ $# = 0 ]; then
        set -- "$command";
        eval "$arrive";
    fi;
    exec "$@" /bin/sh -c "$arrive" nslab "$command";
""")

# What sudo sets anew or drops. The others are those of a session, by which agents are found.
_OF_THE_USER = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "SSH_AUTH_SOCK",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "XDG_RUNTIME_DIR",
)

# $1 the namespace, $2 the command, $3 to prove, $4 to arrive; of a user who came by sudo also $5 uid, $6 gid, $7 groups, and
# then those variables that are set. Run by root on the host. `ip` gives what no other command does: the files of
# /etc/netns/NAME, a /sys of the namespace. But where it can't, it exits with 255, as ssh does when it can't connect.
_ENTER = _script(f"""
    netns=$1 path="{NETNS_DIR}/$1" command=$2 prove=$3 arrive=$4;
    shift 4;
    if [ ! -e "$path" ]; then
        printf "\\n%s\\n" "$(echo "{_MISSING}" $(ls "{NETNS_DIR}" 2>/dev/null))" >&2;
        exit {_REFUSED};
    fi;
    if [ "$path" -ef /proc/self/ns/net ]; then
        printf "\\n{_OF_THE_HOST}\\n" >&2;
        exit {_REFUSED};
    fi;
    if ! ip=$(PATH=$PATH:/usr/sbin:/sbin; command -v ip); then
        printf "\\n{_NO_IP}\\n" >&2;
        exit {_REFUSED};
    fi;
    if [ $# != 0 ]; then
        uid=$1 gid=$2 groups=$3;
        shift 3;
        unset MAIL SUDO_COMMAND SUDO_GID SUDO_HOME SUDO_UID SUDO_USER {" ".join(_OF_THE_USER[1:])};
        export "$@";
        set -- setpriv --reuid "$uid" --regid "$gid" --groups "$groups" --;
    fi;
    "$ip" netns exec "$netns" /bin/sh -c "$prove" nslab "$path" "$command" "$arrive" "$@";
    code=$?;
    if [ $code = 255 ] && ! "$ip" netns exec "$netns" true 2>/dev/null; then
        exit {_REFUSED};
    fi;
    exit $code;
""")

# $1 to enter, then what that is given, up to $5, and then the words of sudo. Run by the login user.
_BEGIN = _script(f"""
    enter=$1 netns=$2 command=$3 prove=$4 arrive=$5;
    shift 5;
    if [ "$(id -u)" = 0 ]; then
        set -- "$netns" "$command" "$prove" "$arrive";
        eval "$enter";
    fi;
    exec "$@" /bin/sh -c "$enter" nslab "$netns" "$command" "$prove" "$arrive"
        "$(id -u)" "$(id -g)" "$(id -G | tr " " ,)" {" ".join(f'${{{name}+"{name}=${name}"}}' for name in _OF_THE_USER)};
""")


def wrap(netns: str, command: str, sudo: str) -> str:
    """The line for a shell of the login user that runs the command, itself such a line, inside the namespace.

    ``sudo`` is what a user other than root puts before a command to be root, in the words of a shell; empty: nothing.
    Root is told from others on the spot: over ssh nobody else knows.

    :raises Problem: what is given is no name of a namespace, or no words.
    """
    inside = [namespace_name(netns), command, _PROVE, _ARRIVE]
    words = ["/bin/sh", "-c", _BEGIN, "nslab", _ENTER, *inside, *_words(sudo)]
    return f"exec {shlex.join(words)}"


def namespace_name(text: object) -> str:
    """The name that is meant; also by its path. ``host`` is none, lest a task run in the host's namespace."""
    if not isinstance(text, str):
        raise Problem(f"ansible_netns is {text!r}", "give the name of a namespace")
    prefix = NETNS_DIR + "/"
    return parse_namespace_name(text[len(prefix) :] if text.startswith(prefix) else text)


def asked_host(variables: t.Mapping[str, t.Any], delegate: str | None) -> str:
    """The inventory's name of the host that a task runs on, which may have been delegated.

    Then ansible-core gives the connection the variables of that host but for one: inventory_hostname goes on naming the
    host that delegates, and ``ansible_netns: "{{ inventory_hostname }}"`` its namespace. ``delegate`` is what the task says,
    which a core before 2.19 has not rendered where it comes to be left out.
    """
    told, short = str(variables.get("inventory_hostname")), str(variables.get("inventory_hostname_short"))
    if not delegate:
        return told
    if short in _short_names(delegate):
        return delegate
    if short in _short_names(told):
        return told
    alike = [name for name in (variables.get("groups") or {}).get("all") or () if short in _short_names(name)]
    return str(alike[0]) if len(alike) == 1 else delegate


def _short_names(name: str) -> tuple[str, str]:
    """That of an address is all of it."""
    return name, name.partition(".")[0]


def _words(sudo: str) -> list[str]:
    try:
        return shlex.split(sudo)
    except ValueError as error:
        raise Problem(f"ansible_netns_sudo {sudo!r} can't be read ({error})", "close its quotes") from None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a wrapped command left behind: whether it came from inside, and both streams without our own line."""

    inside: bool
    stdout: bytes
    stderr: bytes


_ARRIVED = re.compile(rb"\r?\n" + _INSIDE.encode() + rb"\r?\n")


def read(stdout: bytes, stderr: bytes) -> Answer:
    """Takes our line out; with a terminal stderr comes on stdout, and there the line is looked for too."""
    for number, stream in enumerate((stderr, stdout)):
        found = _ARRIVED.search(stream)
        if found:
            rest = stream[: found.start()] + stream[found.end() :]
            return Answer(True, stdout, rest) if number == 0 else Answer(True, rest, stderr)
    return Answer(False, stdout, stderr)


_CLOSED = re.compile(r"(Shared c|C)onnection to \S+ closed\.$")


def why_outside(netns: str, host: str, user: str, sudo: str, code: int, answer: Answer) -> str:
    """In one line, for a person: why nobody got into the namespace."""
    # With a terminal what was said is on stdout, and ssh has the last word on stderr.
    said = (answer.stdout + b"\n" + answer.stderr).decode("utf-8", "replace")
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _CLOSED.match(line.strip())]
    for line in lines:
        if line.startswith(_MISSING):
            return f"namespace {netns!r} does not exist on {host}: {_those_there(line[len(_MISSING) :].split())}"
        if line == _OF_THE_HOST:
            return (
                f"namespace {netns!r} of {host} is the one in which the login is: tasks would run on the host itself; name "
                "another, or connect without it"
            )
        if line == _ELSEWHERE:
            return f"'ip netns exec {netns}' of {host} did not lead into {NETNS_DIR}/{netns}: see which ip is run there"
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
