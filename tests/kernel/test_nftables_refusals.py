# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel refuses is told by the change and the reason, and nothing is left of it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.nftables import (
    SMALL,
    a_namespace,
    listing,
    make,
    many_elements,
    nft,
    read,
    repair,
    rules_of,
    shown,
    with_rules,
)
from support.sandbox import call

from ansible_collections.nslab.linux.plugins.module_utils._kernel import _nftables as room
from ansible_collections.nslab.linux.plugins.module_utils._kernel._refusal import KernelRefused
from ansible_collections.nslab.linux.plugins.module_utils._ruleset import (
    ACCEPT,
    DROP,
    Rule,
)
from ansible_collections.nslab.linux.plugins.module_utils._ruleset_changes import AddRule, difference

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with a_namespace():
        yield


def test_a_bad_change_in_the_middle_leaves_everything_as_it_was():
    make(SMALL)
    before = listing()
    good = difference(SMALL, with_rules(SMALL, "lab", Rule((DROP,)), Rule((DROP,))))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes((good[0], bad, good[1]))
    assert (refused.value.errno, refused.value.index) == (errno.ENOENT, 1)
    assert listing() == before


def test_of_more_refusals_than_the_kernel_can_report_the_first_is_told():
    make(SMALL)
    good = AddRule(SMALL.key, "lab", Rule((ACCEPT,)))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes([good, *[bad] * 3000])
    assert (refused.value.errno, refused.value.index) == (errno.ENOENT, 1)
    assert rules_of("lab") == []


def test_a_refusal_is_told_by_the_change_and_not_by_the_message():
    filled = replace(SMALL, maps=(replace(SMALL.maps[0], elements=tuple(many_elements(1000))),))
    bad = AddRule(SMALL.key, "no_such_chain", Rule((ACCEPT,)))
    changes = difference(None, filled)
    with pytest.raises(KernelRefused) as refused:
        room.apply_changes((*changes, bad))
    assert refused.value.index == len(changes)
    assert shown("table") == []


def test_a_set_that_we_cannot_make_again_is_told():
    make(SMALL)
    nft("add set inet nslab theirs { type ipv4_addr; }")
    found = read()
    room.apply_changes(difference(found, None))
    with pytest.raises(KernelRefused, match=r"the set 'theirs' can't be made again") as refused:
        room.apply_changes(difference(None, found))
    assert type(difference(None, found)[refused.value.index]).__name__ == "AddSet"
    assert shown("table") == []


def test_a_chain_that_is_still_used_is_told():
    make(SMALL)
    bare = replace(SMALL, chains=SMALL.chains[:1])
    assert difference(SMALL, bare)[-1].chain == "lab"
    with pytest.raises(KernelRefused, match="still refers to it") as refused:
        room.apply_changes(difference(SMALL, bare))
    assert refused.value.errno == errno.EBUSY


def test_a_table_that_a_process_owns_is_told():
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdin is not None
        owner.stdin.write("add table inet nslab { flags owner; }\n")
        owner.stdin.flush()
        while not nft("list", "tables"):
            pass
        with pytest.raises(KernelRefused, match="belongs to another process"):
            repair(SMALL)
        owner.stdin.close()


def in_a_user_namespace(work) -> str:
    """What `work` raised as an ordinary user would see it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
            work()
            os.write(writing, b"done")
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_a_transaction_that_is_larger_than_an_ordinary_user_may_send_is_told():
    limit = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())  # the kernel doubles what is asked for
    filled = replace(SMALL, maps=(replace(SMALL.maps[0], elements=tuple(many_elements(1000))),))
    largest = max((message for change in difference(None, filled) for message in room._encode(change, 1)), key=len)

    def send(count: int) -> None:
        with contextlib.closing(room.Nfnetlink()) as kernel:
            kernel.transaction([largest] * count)

    assert in_a_user_namespace(lambda: make(filled)) == "done"
    told = in_a_user_namespace(lambda: send(limit // len(largest) + 1))
    assert re.fullmatch(r"KernelRefused: one transaction of \d+ bytes is more than net.core.wmem_max allows", told)
    assert in_a_user_namespace(lambda: send(limit // len(largest) - 1)) == "KernelRefused: No such file or directory"


def test_without_the_privilege_the_kernel_says_so():
    def as_nobody() -> None:
        os.setuid(65534)
        make(SMALL)

    reading = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            as_nobody()
        except KernelRefused as refused:
            os.write(reading[1], f"{refused.errno} {refused.index}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(reading[1])
    with os.fdopen(reading[0]) as answer:
        assert answer.read() == f"{errno.EPERM} None"
