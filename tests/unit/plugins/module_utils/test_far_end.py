# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What probes and far ends say to each other."""

from __future__ import annotations

import pytest

from ansible_collections.nslab.linux.plugins.module_utils._far_end import (
    REQUEST_LENGTH,
    answer,
    excerpt,
    new_secret,
    question,
    read_answer,
    read_request,
    request,
    seen_in,
    web_request,
)

SECRET, ANOTHER = new_secret(), new_secret()


def test_a_request_tells_which_probe_and_which_attempt_it_is():
    asked = request(SECRET, 511, 3)
    assert read_request(asked, SECRET) == (511, 3)
    assert len(asked) == REQUEST_LENGTH
    assert asked.isascii() and asked.decode().isprintable()


@pytest.mark.parametrize(
    "data",
    [b"", request(SECRET, 1, 1)[:-1], request(SECRET, 1, 1) + b"x", request(ANOTHER, 1, 1)],
    ids=["nothing", "a byte less", "a byte more", "another task's"],
)
def test_nobody_else_is_taken_for_a_probe_of_this_task(data):
    assert read_request(data, SECRET) is None


@pytest.mark.parametrize("address", ["198.51.100.2", "fd00::2"])
def test_an_answer_tells_the_address_it_is_for(address):
    asked = request(SECRET, 1, 1)
    assert read_answer(answer(asked, address), asked) == address


def test_only_the_whole_answer_to_this_request_is_one():
    asked = request(SECRET, 1, 2)
    whole = answer(asked, "10.0.0.2")
    assert [read_answer(whole[:length], asked) for length in range(len(whole))] == [None] * len(whole)
    assert read_answer(answer(request(SECRET, 1, 1), "10.0.0.2"), asked) is None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (b"10.0.0.2", "10.0.0.2"),
        (b"10.0.0.2\n", "10.0.0.2"),
        (b" 10.0.0.2 40000\n", "10.0.0.2"),
        (b"fd00:0::2\r\n", "fd00::2"),
        (b"::ffff:10.0.0.2\n", "10.0.0.2"),
        (b"fe80::1%eth0\n", "fe80::1"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n10.0.0.2\n", "10.0.0.2"),
        (b"HTTP/1.1 200 OK\nServer: x\n\nfd00::2", "fd00::2"),
        (b"HTTP/1.0 200 OK\r\nX-Seen: 10.0.0.2\r\n\r\nwelcome\n", None),
        (b"HTTP/1.0 204 No Content\r\n\r\n", None),
        (b"your address is 10.0.0.2\n", None),
        (b"10.0.0.2:40000\n", None),
        (b"10.0.0\n", None),
        (b"1\xc3\xa9\n", None),
        (b"", None),
    ],
)
def test_the_address_with_which_a_server_answers(text, seen):
    assert seen_in(text, ended=True) == seen


def test_an_answer_is_waited_for_until_its_first_word_is_whole():
    text = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n10.0.0.23\n"
    assert [seen_in(text[:length], ended=False) for length in range(len(text))] == [None] * len(text)
    assert seen_in(text, ended=False) == "10.0.0.23"
    assert seen_in(text[:-1], ended=True) == "10.0.0.23"


def test_servers_are_asked_in_words_that_they_know():
    # RFC 1035, 4.1: one question, the root, NS, IN; recursion is not desired.
    assert question()[2:] == bytes.fromhex("0000 0001 0000 0000 0000 00 0002 0001")
    assert len({question()[:2] for _each in range(9)}) > 1
    assert web_request("web.example:80") == b"GET / HTTP/1.0\r\nHost: web.example:80\r\n\r\n"
    assert b"\r\nHost: [fe80::1]:80\r\n" in web_request("[fe80::1%eth0]:80")


def test_what_a_stranger_says_fits_into_one_line():
    assert excerpt(b"220 mail\r\nready\0\xff" + b"x" * 100).startswith("220 mail  ready")
    assert len(excerpt(b"x" * 1000)) == 60
