# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which things stand in which column, and in which order, so that lines between columns cross seldom.

Things are numbers, and edges are pairs of them. Columns come from a breadth-first search, so that an edge leads from one
column to the next, or stays in it; no line ever has to pass a column.
"""

from __future__ import annotations

import bisect
import typing as t

Edges = t.Sequence[tuple[int, int]]
Layers = list[list[int]]

_SWEEPS = 8
_CENTRES = 4
# What a column, and an edge that stays in its column, are held to be as bad as, in crossings.
_COLUMN = 2
_STAYING = 4


def components(count: int, edges: Edges) -> list[list[int]]:
    near = _neighbours(count, edges)
    seen: set[int] = set()
    found = []
    for start in range(count):
        if start not in seen:
            found.append(sorted(one for layer in _search(near, [start]) for one in layer))
            seen.update(found[-1])
    return found


def layered(count: int, edges: Edges, first: t.Sequence[int]) -> Layers:
    """All of one component, in columns; ``first``, if any, are those in the first column."""
    near = _neighbours(count, edges)
    if first:
        return _ordered(_search(near, sorted(first)), edges, near)
    candidates = [_search(near, roots) for roots in _roots(near)]
    best = min((_ordered(layers, edges, near) for layers in candidates), key=lambda layers: _badness(layers, edges))
    staying = _staying(best, edges)
    if staying > count / 2:
        halves = _ordered(_halves(best, near), edges, near)
        if _staying(halves, edges) * 1.2 < staying:
            return halves
    return best


def opened(layers: Layers, edges: Edges) -> Layers:
    """With half of what hangs together without the first column at the left of it, if there is anything to be shared out."""
    behind = {one: number for number, one in enumerate(one for layer in layers[1:] for one in layer)}
    inner = [(behind[one], behind[other]) for one, other in edges if one in behind and other in behind]
    names = list(behind)
    left: set[int] = set()
    parts = components(len(behind), inner)
    for part in parts[:-1]:
        if 2 * len(left) + len(part) <= len(behind):
            left.update(names[one] for one in part)
    sides = [[[one for one in layer if (one in left) is side] for layer in layers[1:]] for side in (True, False)]
    return [layer for layer in (*reversed(sides[0]), layers[0], *sides[1]) if layer]


def _neighbours(count: int, edges: Edges) -> list[list[int]]:
    near: list[set[int]] = [set() for _node in range(count)]
    for one, other in edges:
        if one != other:
            near[one].add(other)
            near[other].add(one)
    return [sorted(others) for others in near]


def _search(near: t.Sequence[t.Sequence[int]], roots: t.Sequence[int]) -> Layers:
    layers, seen = [list(roots)], set(roots)
    while True:
        following: list[int] = []
        for one in layers[-1]:
            for other in near[one]:
                if other not in seen:
                    seen.add(other)
                    following.append(other)
        if not following:
            return layers
        layers.append(following)


def _roots(near: t.Sequence[t.Sequence[int]]) -> t.Iterator[list[int]]:
    """First columns that are worth a try: an end of the whole, and what is in its middle, each with its like."""
    far = min(_search(near, [0])[-1])
    there = _search(near, [far])
    end = min(far, *there[-1])
    twins = [one for one in range(len(near)) if near[one] == near[end]] if len(near[end]) > 1 else [end]
    yield twins
    if max(map(len, near)) < 3:
        return  # a chain or a ring, which has no middle
    classes: dict[int, list[int]] = {}
    for one, colour in enumerate(_colours(near)):
        classes.setdefault(colour, []).append(one)
    central = [one for one in classes.values() if len(near[one[0]]) > 2 and len(one) <= len(near) / 2]
    central.sort(key=lambda one: (-len(near[one[0]]), one))
    central = central[: _CENTRES * 3]
    central.sort(key=lambda one: (len(_search(near, one)), -len(near[one[0]]), one))
    yield from central[:_CENTRES]


def _colours(near: t.Sequence[t.Sequence[int]]) -> list[int]:
    """The same number for those that look alike from wherever one looks: the spines of a Clos network, say."""
    colours = [len(others) for others in near]
    while True:
        seen = [(colours[one], tuple(sorted(colours[other] for other in near[one]))) for one in range(len(near))]
        numbers = {look: number for number, look in enumerate(sorted(set(seen)))}
        if len(numbers) == len(set(colours)):
            return colours
        colours = [numbers[look] for look in seen]


def _staying(layers: Layers, edges: Edges) -> int:
    column = {one: number for number, layer in enumerate(layers) for one in layer}
    return sum(column[one] == column[other] for one, other in edges if one != other)


def _badness(layers: Layers, edges: Edges) -> float:
    return _crossings(layers, edges) + _STAYING * _staying(layers, edges) + _COLUMN * len(layers)


def _halves(layers: Layers, near: t.Sequence[t.Sequence[int]]) -> Layers:
    """Two columns of about the same size: where each is linked to each there is no other order."""
    sides: tuple[set[int], set[int]] = (set(), set())
    everything = [one for layer in layers for one in layer]
    most = (len(everything) + 1) // 2
    for one in everything:
        left, right = (len(side.intersection(near[one])) for side in sides)
        to_left = (left, len(sides[0])) <= (right, len(sides[1]))
        if len(sides[0 if to_left else 1]) >= most:
            to_left = not to_left
        sides[0 if to_left else 1].add(one)
    return [sorted(side) for side in sides]


def _ordered(layers: Layers, edges: Edges, near: t.Sequence[t.Sequence[int]]) -> Layers:
    """Each thing in the middle of those that it is linked to in the column before, then in that behind, and again."""
    best, fewest = layers, _crossings(layers, edges)
    current = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        forth = sweep % 2 == 0
        numbers = range(1, len(current)) if forth else range(len(current) - 2, -1, -1)
        for number in numbers:
            fixed = {one: place for place, one in enumerate(current[number - 1 if forth else number + 1])}
            places = {one: place for place, one in enumerate(current[number])}
            weights = {}
            for one in current[number]:
                linked = [fixed[other] for other in near[one] if other in fixed]
                # What has no link there stays about where it is.
                share = len(fixed) / max(len(places), 1)
                weights[one] = sum(linked) / len(linked) if linked else places[one] * share
            current[number].sort(key=lambda one: (weights[one], places[one]))
        crossings = _crossings(current, edges)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return best


def _crossings(layers: Layers, edges: Edges) -> int:
    place = {one: (number, row) for number, layer in enumerate(layers) for row, one in enumerate(layer)}
    between: list[list[tuple[int, int]]] = [[] for _layer in layers]
    for one, other in edges:
        (column, row), (other_column, other_row) = sorted((place[one], place[other]))
        if column != other_column:
            between[column].append((row, other_row))
    total = 0
    for pairs in between:
        ends: list[int] = []
        for _row, end in sorted(pairs):
            total += len(ends) - bisect.bisect_right(ends, end)
            bisect.insort(ends, end)
    return total
