# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What turns one nftables table into another: each change is one command of `nft`, all of them one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Union

from ._ruleset import (
    Chain,
    DestinationNatMap,
    Element,
    Hook,
    InterfaceIn,
    InterfaceVerdict,
    Key,
    Rule,
    SetOrMap,
    Table,
    TableName,
)


@dataclass(frozen=True)
class AddTable:
    table: TableName
    comment: str = ""
    dormant: bool = False


@dataclass(frozen=True)
class DeleteTable:
    """With all that is in it."""

    table: TableName


@dataclass(frozen=True)
class AddChain:
    """Makes an empty chain, or gives an existing one the policy of `hook`."""

    table: TableName
    chain: str
    hook: Optional[Hook] = None


@dataclass(frozen=True)
class FlushChain:
    table: TableName
    chain: str


@dataclass(frozen=True)
class DeleteChain:
    table: TableName
    chain: str


@dataclass(frozen=True)
class AddRule:
    """At the end of the chain."""

    table: TableName
    chain: str
    rule: Rule


@dataclass(frozen=True)
class AddSet:
    """Makes an empty set or map: `set` has no elements here."""

    table: TableName
    set: SetOrMap


@dataclass(frozen=True)
class DeleteSet:
    table: TableName
    set: SetOrMap


@dataclass(frozen=True)
class AddElements:
    table: TableName
    set: str
    elements: tuple[Element, ...]


@dataclass(frozen=True)
class DeleteElements:
    table: TableName
    set: str
    elements: tuple[Element, ...]


Change = Union[
    AddTable, DeleteTable, AddChain, FlushChain, DeleteChain, AddRule, AddSet, DeleteSet, AddElements, DeleteElements
]


def difference(before: Optional[Table], after: Optional[Table]) -> tuple[Change, ...]:
    """The least changes that turn `before` into `after`; None is no table at all.

    `difference(after, before)` undoes them. The order is one that the kernel takes in a single transaction: what
    refers to a thing goes before the thing, and comes after it.
    """
    if after is None:
        return () if before is None else (DeleteTable(before.key),)
    if before is None:
        empty = replace(after, chains=(), maps=(), sets=())
        return (AddTable(after.key, after.comment, after.dormant), *_difference(empty, after))
    if before.key != after.key:
        raise ValueError(f"{before.key} and {after.key} are different tables")
    if before.dormant != after.dormant:  # nft has no word that wakes a table
        return (DeleteTable(before.key), *difference(None, after))
    return _difference(before, after)


def _difference(before: Table, after: Table) -> tuple[Change, ...]:
    """As `difference`, of two states of one table that stays."""
    table = after.key
    old_sets = {each.name: each for each in before.named}
    new_sets = {each.name: each for each in after.named}
    dropped_sets = [old for old in old_sets.values() if not _same_make(old, new_sets.get(old.name))]
    kept_sets = {name: old for name, old in old_sets.items() if old not in dropped_sets}
    old_chains = {chain.name: chain for chain in before.chains}
    new_chains = {chain.name: chain for chain in after.chains}
    dropped_chains = [old for old in old_chains.values() if not _same_place(old, new_chains.get(old.name))]
    kept_chains = {name: old for name, old in old_chains.items() if old not in dropped_chains}

    flushed: list[Change] = [FlushChain(table, old.name) for old in dropped_chains if old.rules]
    chains_made: list[Change] = []
    rules_added: list[Change] = []
    for chain in after.chains:
        old_chain = kept_chains.get(chain.name)
        if old_chain is None or old_chain.hook != chain.hook:
            chains_made.append(AddChain(table, chain.name, chain.hook))
        standing = old_chain.rules if old_chain else ()
        if standing != chain.rules[: len(standing)] or _mentions(standing, dropped_sets):
            flushed.append(FlushChain(table, chain.name))
            standing = ()
        rules_added += [AddRule(table, chain.name, rule) for rule in chain.rules[len(standing) :]]

    elements_gone: list[Change] = []
    elements_added: list[Change] = []
    for wanted in new_sets.values():
        kept = kept_sets.get(wanted.name)
        gone, added = _elements(kept.elements if kept else (), wanted.elements)
        elements_gone += [DeleteElements(table, wanted.name, gone)] if gone else []
        elements_added += [AddElements(table, wanted.name, added)] if added else []

    return (
        *flushed,
        *elements_gone,
        *(DeleteSet(table, _bare(old)) for old in dropped_sets),
        *(DeleteChain(table, old.name) for old in dropped_chains),
        *chains_made,
        *(AddSet(table, _bare(new)) for name, new in new_sets.items() if name not in kept_sets),
        *rules_added,
        *elements_added,
    )


def _same_make(old: SetOrMap, new: Optional[SetOrMap]) -> bool:
    return new is not None and _bare(old) == _bare(new)


def _bare(named: SetOrMap) -> SetOrMap:
    return replace(named, elements=())


def _same_place(old: Chain, new: Optional[Chain]) -> bool:
    """Whether the chain can stay: the kernel changes a policy in place, but no hook, type or priority."""
    if new is None or old.hook is None or new.hook is None:
        return new is not None and old.hook == new.hook
    return replace(old.hook, policy=new.hook.policy) == new.hook


def _mentions(rules: tuple[Rule, ...], sets: list[SetOrMap]) -> bool:
    names = {each.name for each in sets}
    for rule in rules:
        for expression in rule.expressions:
            if isinstance(expression, InterfaceIn) and expression.set in names:
                return True
            if isinstance(expression, (InterfaceVerdict, DestinationNatMap)) and expression.map in names:
                return True
    return False


def _elements(
    before: tuple[Element, ...], after: tuple[Element, ...]
) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
    """What is to be deleted and what added; an element that changes is both, since adding a key anew is refused."""
    old: dict[Key, Element] = {element.key: element for element in before}
    new: dict[Key, Element] = {element.key: element for element in after}
    gone = tuple(element for key, element in old.items() if new.get(key) != element)
    added = tuple(element for key, element in new.items() if old.get(key) != element)
    return gone, added
