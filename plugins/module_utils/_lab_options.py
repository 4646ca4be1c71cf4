# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as YAML and Jinja leave them, in the types of the modules' argument specs; every fault is kept with its path.

A dict of options inside an option has no argument spec, so that what Ansible does for modules is done here.
"""

from __future__ import annotations

import collections.abc
import difflib
import re
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ._errors import Problem
from ._lab import Fault
from ._values import parse_interface

Options = dict[str, t.Any]
Kind = t.Callable[[t.Any], t.Any]
T = t.TypeVar("T")

_WHOLE = re.compile(r"\s*[+-]?[0-9]+(\.0*)?\s*\Z")
_SHOWN = 40
_MOST_GUESSES = 50


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def text(value: t.Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, float)):
        raise Problem(f"{value!r} is what YAML made of it, and no text", "quote it")
    if isinstance(value, int):
        return str(value)
    raise Problem(f"{shown(value)} is no text")


def flag(value: t.Any) -> bool:
    if value is True or value is False:
        return bool(value)
    try:
        return bool(boolean(value))
    except TypeError:
        raise Problem(f"{shown(value)} is neither true nor false") from None


def number(value: t.Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value.partition(".")[0])
    raise Problem(f"{shown(value)} is no whole number")


def seconds(value: t.Any) -> float:
    try:
        if not isinstance(value, (int, float, str)) or isinstance(value, bool):
            raise ValueError
        return float(value)
    except ValueError:
        raise Problem(f"{shown(value)} is no number") from None


def texts(value: t.Any) -> list[str]:
    """A text alone is refused: Ansible would split it at commas, and half of the users expect that, half do not."""
    return [text(one) for one in listed(value)]


def text_or_texts(value: t.Any) -> list[str]:
    return texts(value) if isinstance(value, (list, tuple)) else [text(value)]


def listed(value: t.Any) -> list[t.Any]:
    if not isinstance(value, (list, tuple)):
        raise Problem(f"{shown(value)} is no list", "write one, as in [a, b]")
    return list(value)


def mapping(value: t.Any) -> dict[t.Any, t.Any]:
    if not isinstance(value, collections.abc.Mapping):
        raise Problem(f"{shown(value)} is no dict", "write NAME: VALUE for each")
    return dict(value)


_OF_LISTS = (texts, text_or_texts)


def anything(value: t.Any) -> t.Any:
    return value


def one_of(*choices: str) -> Kind:
    def chosen(value: t.Any) -> str:
        if value not in choices:
            raise Problem(f"{shown(value)} is not known", f"use one of {', '.join(choices)}")
        return text(value)

    return chosen


def below(path: str, key: object) -> str:
    """The path of what stands under this key, or at this place of a list."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


class Reading:
    """The faults met so far, in order; what one can't be read from is left out, and the reading goes on."""

    def __init__(self) -> None:
        self._faults: dict[Fault, None] = {}
        self._guesses = 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._faults)

    @property
    def count(self) -> int:
        return len(self._faults)

    def fault(self, path: str, said: object, advice: str = "") -> None:
        self._faults[Fault(path, str(Problem(str(said), advice)))] = None

    def nearest(self, word: str, known: t.Iterable[str]) -> str:
        """Advice for one who wrote a word that is none of those. Guessing among a thousand takes 10 ms: not for each fault."""
        words = list(known)
        near: list[str] = []
        if self._guesses < _MOST_GUESSES:
            self._guesses += 1
            near = difflib.get_close_matches(word, words, 1)
        few = words if len(words) <= 20 else [*words[:20], "..."]
        return (f"did you mean {near[0]}? " if near else "") + f"there are {', '.join(few)}"

    def take(self, path: str, kind: t.Callable[..., T], *values: t.Any) -> T | None:
        """What ``kind`` makes of the values, None where it refuses."""
        try:
            return kind(*values)
        except Problem as problem:
            self.fault(path, problem)
            return None

    def options(
        self, path: str, value: t.Any, kinds: t.Mapping[str, Kind], hints: t.Mapping[str, str] | None = None
    ) -> Options:
        """Those options that are given and can be read. ``hints`` tells of keys that are refused what to do instead."""
        found: Options = {}
        if value is None:
            return found
        if not isinstance(value, collections.abc.Mapping):
            self.fault(path, f"{shown(value)} is no dict", f"its keys are {', '.join(kinds)}")
            return found
        for key, one in value.items():
            kind = kinds.get(key)
            if kind is None:
                advice = (hints or {}).get(key) or self.nearest(str(key), kinds)
                self.fault(below(path, str(key)), f"{key} is not known here", advice)
            elif one is not None:
                try:
                    found[key] = kind(one)
                except Problem as problem:
                    elements = one if kind in _OF_LISTS and isinstance(one, (list, tuple)) else ()
                    self._refuse(below(path, key), kind, elements, problem)
        return found

    def _refuse(self, path: str, kind: Kind, elements: t.Sequence[t.Any], problem: Problem) -> None:
        """Of a list the elements that are wrong by themselves, each at its place; else the whole."""
        before = self.count
        for place, one in enumerate(elements):
            self.take(below(path, place), kind, [one])
        if self.count == before:
            self.fault(path, problem)

    def whole(
        self,
        path: str,
        options: Options,
        parse: t.Callable[[Options], T],
        alone: t.Callable[[Options], Options],
        at: t.Callable[[str], str] | None = None,
        required: str = "",
    ) -> T | None:
        """What ``parse`` makes of the options.

        It refuses at the first that is wrong. Then each is tried by itself, as ``alone`` completes it, so that all that
        are wrong are told, each at its path (``at`` of its key); and what is returned is made of the others, if the required one is
        among them.
        """
        try:
            return parse(options)
        except Problem as problem:
            first = problem
        good = dict(options)
        for key, value in options.items():

            def kind(one: t.Any, key: str = key) -> T:
                return parse(alone({key: one}))

            try:
                kind(value)
            except Problem as problem:
                self._refuse(
                    below(path, key) if at is None else at(key), kind, value if isinstance(value, list) else (), problem
                )
                del good[key]
        if len(good) == len(options):
            self.fault(path, first)
            return None
        if required and required not in good:
            return None
        try:
            return parse(good)
        except Problem:  # it may lack only what was told already
            return None


def one_mtu(reading: Reading, path: str, options: Options) -> Options:
    """``mtu`` and ``mtu_from`` exclude each other, as in the modules."""
    if "mtu" in options and "mtu_from" in options:
        reading.fault(below(path, "mtu_from"), "mtu is given too", "leave one of the two out")
        del options["mtu_from"]
    return options


def over(options: Options, defaults: Options) -> Options:
    """The options, and below them the defaults; an MTU said in one way sets aside a default said in the other."""
    if not defaults:
        return options
    own_mtu = "mtu" in options or "mtu_from" in options
    return {**{key: one for key, one in defaults.items() if not (own_mtu and key in ("mtu", "mtu_from"))}, **options}


def stand_in(name: str) -> t.Callable[[Options], Options]:
    """One option of a link, with the name that the link has, or, if that is wrong, with one that is not."""

    def completed(one: Options) -> Options:
        try:
            return {"name": parse_interface(name), **one}
        except Problem:
            return {"name": "x0", **one}

    return completed
