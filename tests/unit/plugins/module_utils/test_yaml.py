# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of diffs: YAML that says what was given, in its order, one item a line."""

from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nslab.linux.plugins.module_utils._yaml import to_yaml

WORDS = st.text(alphabet=string.ascii_letters + string.digits + " .:/@#-_+*&!|>%'\"{}[],?~=\\\t", max_size=12)
LINES = st.lists(
    st.text(alphabet=string.ascii_letters + " :#-", min_size=1, max_size=12), min_size=2, max_size=4
).filter(lambda lines: not lines[0].startswith(" "))
FILES = LINES.map(lambda lines: "".join(f"{line}\n" for line in lines))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), WORDS)
DATA = st.recursive(
    st.one_of(SCALARS, FILES),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)


@given(DATA)
def test_what_is_read_from_the_text_is_what_was_given(data):
    assert yaml.safe_load(to_yaml(data)) == data


@pytest.mark.parametrize(
    "word", ["yes", "No", "on", "null", "~", "1e3", "0x10", "12:30:45", "2026-01-01", "", "-", "a: b", "=", "<<"]
)
def test_a_text_stays_a_text(word):
    assert yaml.safe_load(to_yaml({"key": word, word: "value"})) == {"key": word, word: "value"}


def test_the_shape_is_that_of_a_person():
    link = {"name": "eth0", "mtu": 1500, "up": True, "peer": None, "addresses": ["10.0.0.1/24"], "routes": []}
    assert to_yaml({"links": [link], "file": "a\nb\n"}) == (
        'links:\n  - name: eth0\n    mtu: 1500\n    up: true\n    peer: null\n    addresses:\n      - "10.0.0.1/24"\n'
        "    routes: []\nfile: |\n  a\n  b\n"
    )
