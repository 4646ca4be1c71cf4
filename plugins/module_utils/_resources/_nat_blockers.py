# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other firewalls of a router would do to the flows of a rule set, told with the command that lets them pass there."""

from __future__ import annotations

import typing as t

from .._blockers import DOCKER, FIREWALLD, IPTABLES_LEGACY, IPTABLES_NFT, UFW, Blocker, blockers, sees_bridged
from .._engine import Draft
from .._errors import Problem
from .._filtering import ESTABLISHED, NEW, Flow
from .._operation import inside as within
from .._values import IPNetwork, NamespaceRef
from .._world import NamespaceState
from ._nat_rules import RuleSet
from ._place import place
from ._publish import network_of


def flows(
    state: NamespaceState, rule_set: RuleSet, sources: t.Sequence[IPNetwork], outward: t.Mapping[int, tuple[str, ...]]
) -> list[Flow]:
    """All that has to pass for the rule set to work; ``outward`` are the links towards the outside, by family."""
    found = []
    for version, uplinks in outward.items():
        own: list[IPNetwork | None] = [network for network in sources if network.version == version]
        own = own or [None]
        published = [network_of(each.to) for each in rule_set.publish if each.ports.version == version]
        for link in rule_set.inside:
            for uplink in uplinks:
                for network in own:
                    found.append(Flow(version, link, uplink, network, None, NEW))
                    found.append(Flow(version, uplink, link, None, network, ESTABLISHED))
                    if not rule_set.established_only:
                        found.append(Flow(version, uplink, link, None, network, NEW))
                found += [Flow(version, uplink, link, None, target, NEW, True) for target in published]
            if link in state.links and state.links[link].kind == "bridge" and sees_bridged(state, version):
                found.append(Flow(version, link, link, own[0]))  # its ports reach each other through here
        if len(rule_set.inside) > 1:
            # What holds for one pair of them holds, as a rule, for the others.
            found.append(Flow(version, rule_set.inside[0], rule_set.inside[1]))
    return found


def find(state: NamespaceState, wanted: t.Iterable[Flow]) -> list[Blocker] | None:
    """None where nobody has looked."""
    return None if state.firewall is None else blockers(state.firewall, wanted)


def tell(draft: Draft, where: NamespaceRef, rule_set: RuleSet, found: t.Iterable[Blocker], refuse: bool) -> None:
    """Warn of each, or, when ``refuse``, have the task fail on those of which it is certain."""
    for blocker in found:
        text = _sentence(where, rule_set, blocker)
        if refuse and blocker.certain:
            raise Problem(text, f"let it pass there: {_advice(where, blocker, rule_set.inside)}")
        draft.warn(f"{text}; if the lab is cut off, let it pass there: {_advice(where, blocker, rule_set.inside)}")


def _sentence(where: NamespaceRef, rule_set: RuleSet, blocker: Blocker) -> str:
    does = f"{'would' if blocker.certain else 'might'} {blocker.action}"
    more = f" and {len(blocker.flows) - 1} more" if len(blocker.flows) > 1 else ""
    return (
        f"chain {_chain(blocker)} {place(where)}, of {blocker.manager or blocker.backend}, {does} what the rule set {rule_set.name} is to let"
        f" pass, {blocker.flows[0]}{more} (its {blocker.why})"
    )


def _chain(blocker: Blocker) -> str:
    return f"{blocker.family} {blocker.table} {blocker.chain}"


def _advice(where: NamespaceRef, blocker: Blocker, inside: t.Sequence[str]) -> str:
    """The commands by which the owner of the chain expects it to be told, for the first inside link."""
    link = inside[0]
    six = blocker.family == "ip6" or all(flow.version == 6 for flow in blocker.flows)
    if blocker.manager == UFW:
        return _commands(
            where, ("ufw", "route", "allow", "in", "on", link), ("ufw", "route", "allow", "out", "on", link)
        )
    if blocker.manager == FIREWALLD:
        return _commands(
            where,
            ("firewall-cmd", "--permanent", "--zone=trusted", f"--add-interface={link}"),
            ("firewall-cmd", "--reload"),
        )
    if blocker.backend in (IPTABLES_NFT, IPTABLES_LEGACY):
        tool = ("ip6tables" if six else "iptables") + ("-legacy" if blocker.backend == IPTABLES_LEGACY else "")
        to = "DOCKER-USER" if blocker.manager == DOCKER else "FORWARD"
        return _commands(where, *((tool, "-I", to, direction, link, "-j", "ACCEPT") for direction in ("-i", "-o")))
    return _commands(
        where,
        *(
            ("nft", "insert", "rule", blocker.family, blocker.table, blocker.chain, direction, link, "accept")
            for direction in ("iifname", "oifname")
        ),
    )


def _commands(where: NamespaceRef, *commands: tuple[str, ...]) -> str:
    return "; ".join(within(where, *words) for words in commands)


def shown(found: t.Iterable[Blocker] | None) -> list[dict[str, object]] | None:
    """As the module returns them."""
    if found is None:
        return None
    return [
        {
            "chain": _chain(each),
            "backend": each.backend,
            "manager": each.manager,
            "action": each.action,
            "why": each.why,
            "certain": each.certain,
            "flows": [str(flow) for flow in each.flows],
            "done": None,
        }
        for each in found
    ]
