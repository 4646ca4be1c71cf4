# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole lab as one desired object: it reads its ledger, and its plan is that of all its parts, one after the other."""

from __future__ import annotations

import dataclasses
import typing as t

from .._engine import Declaration, Draft, Resource
from .._errors import Problem
from .._lab import Fault, Lab
from .._lab_addresses import addressed, claims, judge
from .._lab_definition import read_lab
from .._values import HOST, parse_addresses
from .._world import Need, NeedFile, NeedForwarding, World
from ._lab_conflicts import Conflicts
from ._lab_gone import Surplus
from ._lab_ledger import Entries, Ledger
from ._lab_links import Unplugged, match, places_of, recorded_links
from ._lab_parts import Part, needed_parts, wanted_entries
from ._lab_report import governed_lab, report_lab
from ._nat_plan import Nat
from ._route import RouteSet

MACHINE_ID = "/etc/machine-id"  # machine-id(5); a container may have none


class Faults(Problem):
    """All that is wrong with a lab, in one line for a person, and by path for a machine."""

    def __init__(self, name: str, faults: t.Sequence[Fault], present: bool = True) -> None:
        count = "" if len(faults) == 1 else f"{len(faults)} faults: "
        wish = "be so" if present else "be removed"
        super().__init__(f"lab {name} can't {wish}: {count}{'; '.join(map(str, faults))}")
        self.details = [{"path": fault.path, "text": fault.text} for fault in faults]


@dataclasses.dataclass(frozen=True)
class Assembly:
    """A lab on the host whose ledger says ``recorded``: with all its addresses, and what it takes to make it so."""

    lab: Lab
    faults: tuple[Fault, ...]
    recorded: Entries
    wanted: Entries
    parts: tuple[Part, ...]


@dataclasses.dataclass(frozen=True)
class LabState:
    """That a lab is as declared, or, with an empty one, that nothing is left of it."""

    lab: Lab
    faults: tuple[Fault, ...] = ()
    present: bool = True
    prune: bool = True
    adopt: bool = False
    processes: str = "fail"
    _assembled: dict[tuple[str, str], Assembly] = dataclasses.field(default_factory=dict, compare=False, hash=False)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lab.name)

    def needs(self, world: World) -> t.Iterable[Need]:
        found = [*self.ledger.needs(world), NeedFile(MACHINE_ID)]
        if self.ledger.is_read(world) and MACHINE_ID in world.files:
            made = self.assembly(world)
            found += self._conflicts(made).needs(world)
            for _path, part in made.parts:
                found += part.needs(world)
                if isinstance(part, Nat) and part.present:  # IPv6 may be spoken inside only when the lab is there
                    found += [NeedForwarding(part.where, 6), NeedForwarding(HOST, 6)]
        return found

    def plan(self, draft: Draft) -> None:
        made = self.assembly(draft.world)
        conflicts = self._conflicts(made)
        faults = [*self.faults, *made.faults, *conflicts.faults(draft.world)]
        if faults:
            raise Faults(self.lab.name, faults, self.present)
        wanted = conflicts.owned(draft.world, made.wanted)
        self.ledger.write_ahead(draft, wanted)
        for path, part in conflicts.considerate(draft.world, made.parts):
            try:
                _plan(draft, part)
            except Problem as problem:
                faults.append(Fault(path, str(problem)))
        if faults:
            raise Faults(self.lab.name, faults, self.present)
        self.ledger.settle(draft, wanted if self.prune else {**made.recorded, **wanted})

    def assembly(self, world: World) -> Assembly:
        """Worked out once for each state of the ledger."""
        texts = self.ledger.texts(world)
        if texts not in self._assembled:
            machine = world.files[MACHINE_ID]
            self._assembled[texts] = self._assemble(self.ledger.entries(world), machine.content if machine else "")
        return self._assembled[texts]

    def _assemble(self, recorded: Entries, machine: str) -> Assembly:
        had = {
            (key[1], key[2]): parse_addresses(value.split()) for key, value in recorded.items() if key[0] == "addresses"
        }
        carried, left = match(self.lab.links, recorded_links(recorded))
        for each in carried:  # a link takes its addresses along
            had.update({new: had[old] for old, new in zip(each.old, each.new) if old in had and new not in had})
        lab, faults = addressed(self.lab, had)
        faults = (*faults, *judge(lab))
        wanted = wanted_entries(lab, claims(lab))
        first, rest = needed_parts(lab, recorded, machine)
        paths = {places_of(link): link.path for link in lab.links}
        moved: list[Part] = [(paths[each.new], each) for each in carried]
        moved.append(("", _unplugged(lab, recorded)))
        early: list[Part] = []
        late: list[Part] = []
        if self.prune:
            surplus = Surplus(
                {key: value for key, value in recorded.items() if key not in wanted},
                tuple(left),
                frozenset(place for link in lab.links for place in places_of(link)),
                frozenset(place for each in carried for place in each.old),
            )
            early, late = surplus.early_parts(), surplus.late_parts(self.processes)
        return Assembly(lab, faults, recorded, wanted, (*early, *first, *moved, *rest, *late))

    def _conflicts(self, made: Assembly) -> Conflicts:
        return Conflicts(made.lab, self.ledger, made.recorded, self.adopt)


def _unplugged(lab: Lab, recorded: Entries) -> Unplugged:
    bridges = {(key[1], key[2]) for key in recorded if key[0] == "bridge"}
    ends = [end.end for link in lab.links for end in link.ends if end.end.master is None] if bridges else []
    return Unplugged(tuple((str(end.where), end.name) for end in ends), frozenset(bridges))


def _plan(draft: Draft, part: Resource) -> None:
    if isinstance(part, RouteSet):  # a gateway is behind a link of the lab, or nowhere
        with draft.sure():
            part.plan(draft)
    else:
        part.plan(draft)


# from the options of the module

_OWN = ("definition", "state", "prune", "adopt", "processes")


def declare(params: t.Mapping[str, t.Any]) -> Declaration:
    """One lab, by name."""
    given = _definition(params)
    name = given.pop("name", None) or ""
    present = params["state"] == "present"
    lab, faults = read_lab(str(name), given if present else {})
    state = LabState(
        lab,
        faults,
        present,
        prune=params.get("prune") is not False or not present,
        adopt=bool(params.get("adopt")),
        processes=params.get("processes") or "fail",
    )

    def report(world: World) -> dict[str, object]:
        return {"lab": report_lab(world, state.assembly(world).lab) if present else None}

    def governed(world: World) -> object:
        made = state.assembly(world)
        return governed_lab(world, made.lab, {**made.recorded, **made.wanted})

    return Declaration([state], report, f"lab {lab.name}", governed, sparse=True, timed=True)


def _definition(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The definition, of which each key may be an option of its own."""
    whole = dict(params.get("definition") or {})
    for key, value in params.items():
        if key in _OWN or value is None:
            continue
        if whole.get(key) not in (None, value):
            raise Problem(f"{key} is given twice, as an option and in definition", "write it once")
        whole[key] = value
    return whole
