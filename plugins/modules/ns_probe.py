#!/usr/bin/python
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ns_probe
short_description: Find out what can be reached from network namespaces
version_added: 0.1.0
description:
  - Sends pings, opens TCP connections and resolves names from inside network namespaces, and fails if any of it does not turn
    out as expected. Any number of probes, from any number of namespaces, in one task; they run at the same time.
  - Needs neither a C(ping) binary nor any other program on the managed host.
  - Changes nothing. No namespace, link, address, route, firewall rule, file or sysctl is touched; a TCP connection is closed as
    soon as it is open, without a byte being sent over it.
  - All input is checked, every namespace is entered and every privilege is tried before the first packet is sent.
options:
  probes:
    description:
      - What to try. The probes from one namespace run at the same time, and so do the namespaces, up to 16 probes in each of up
        to 32 namespaces; the order of the list is only that of the result.
      - Each has exactly one of O(probes[].ping), O(probes[].tcp) and O(probes[].resolve).
    type: list
    elements: dict
    required: true
    suboptions:
      from:
        description:
          - The network namespace to probe from.
          - V(red), a name, is the namespace bound at C(/run/netns/red); V(/proc/4711/ns/net), an absolute path, is whatever
            namespace that file stands for; V(pid:4711) is the namespace of that process; V(host) is the namespace in which the
            module itself runs.
          - A named namespace that does not exist is an error; in check mode it is assumed to be coming, with a warning. A path
            or a process that does not exist is always an error.
        type: str
        default: host
      ping:
        description:
          - An IPv4 or IPv6 address that is sent one ICMP echo.
          - A link-local address needs its interface, V(fe80::1%eth0).
        type: str
      tcp:
        description:
          - A host and a port to which a TCP connection is opened, V(10.0.0.1:80), V(web.example:443) or V([fd00::1]:80). The
            last of these needs quotes in YAML.
          - The addresses of a name are tried in the order in which the resolver gives them, until one accepts. Together they
            have O(probes[].timeout), the resolver included.
        type: str
      resolve:
        description:
          - A name whose addresses, IPv4 and IPv6, are looked up.
        type: str
      expect:
        description:
          - V(success) wants an answer, an open connection, or at least one address.
          - V(failure) wants the opposite, for whatever reason that is. Only what keeps the probe from being made at all (such as
            an O(probes[].source) that is no address of the namespace) does not count as one.
          - An address, such as V(10.0.0.1), wants it among those that O(probes[].resolve) finds.
        type: str
        default: success
      source:
        description:
          - The address to send from, one of the namespace's own. Left out, the kernel chooses it.
          - Not for O(probes[].resolve).
        type: str
      timeout:
        description:
          - How long an attempt may take, in seconds, above 0 and up to 300.
        type: float
        default: 2
      retries:
        description:
          - How often at most a probe is tried again, 0 to 100, until it meets its expectation. Between two attempts there is a
            pause of one second, or of O(probes[].timeout) if that is less.
          - This holds in both directions. What expects V(success) is given time to come up, and what expects V(failure) to go
            away, such as a service that was just stopped. For V(failure) the first attempt that fails is enough; to be sure that
            it failed for good, first have a probe over the same path meet V(success).
        type: int
        default: 2
attributes:
  check_mode:
    description: Can run in check mode. Everything is checked there as in a real run, but nothing is sent; what would be found
      out is null.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
  idempotent:
    description: Nothing is changed, however often it runs.
    support: full
  platform:
    description: The systems that can be managed.
    platforms: linux
    support: full
  action_group:
    description: Use C(group/nslab.linux.nslab) in C(module_defaults) to set defaults for this and every other module of
      the collection.
    support: full
    membership:
      - nslab.linux.nslab
requirements:
  - Python 3.9 or later on the managed host; pyroute2 is not needed
  - the capability CAP_SYS_ADMIN to probe from another namespace than V(host), and CAP_NET_RAW for pings; C(become=true) gives
    them
notes:
  - Names are resolved by libc with the namespace's own files. As C(ip netns exec) does, each file in C(/etc/netns/NAME/) takes
    the place of its counterpart in C(/etc), if there is one, for the probing process alone. A namespace that is given by path or
    by process has the files of the host.
  - Except from V(host), resolvers of the host that libc would ask by a socket (systemd-resolved through C(nss-resolve), nscd,
    avahi) are hidden from the probes, as they would answer for the host.
  - An option C(timeout) or C(attempts) in C(resolv.conf) is overridden, so that O(probes[].timeout) holds.
  - Each ICMP error that comes back is told by its name, with the address that sent it.
  - When a single probe fails the task fails, but all of them are made and returned. With C(ignore_errors) or C(failed_when) the
    result can be judged in another way.
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.ns_resolv
  - name: ip-netns(8)
    description: The command with which people look into a namespace.
    link: https://man7.org/linux/man-pages/man8/ip-netns.8.html
author:
  - nslab contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: See that two namespaces reach each other
  nslab.linux.ns_probe:
    probes:
      - {from: red, ping: 10.0.0.2}
      - {from: blue, ping: 10.0.0.1}

- name: See that a namespace has internet and resolves names
  nslab.linux.ns_probe:
    probes:
      - from: red
        ping: 198.51.100.1
      - from: red
        resolve: web.example
      - from: red
        tcp: web.example:80

- name: See that a service is reached over both families, and not on another port
  nslab.linux.ns_probe:
    probes:
      - from: red
        tcp: 198.51.100.1:80
      - from: red
        tcp: '[2001:db8:51::1]:80'
      - from: red
        tcp: 198.51.100.1:81
        expect: failure

- name: See that a name leads to a certain address
  nslab.linux.ns_probe:
    probes:
      - from: red
        resolve: web.example
        expect: 198.51.100.1

- name: Wait up to a minute for a service of the host
  nslab.linux.ns_probe:
    probes:
      - tcp: 127.0.0.1:8080
        timeout: 1
        retries: 30

# container_pid is what this says: docker inspect --format '{{.State.Pid}}' web
- name: Probe from a container, with one of its addresses
  nslab.linux.ns_probe:
    probes:
      - from: pid:{{ container_pid }}
        ping: 10.0.0.1
        source: 10.0.0.9

- name: See that every namespace of a list reaches its gateway
  nslab.linux.ns_probe:
    probes: "{{ dict(names | product(['10.0.0.254'])) | dict2items(key_name='from', value_name='ping') }}"
  vars:
    names: [red, blue]
"""

RETURN = r"""
probes:
  description: One entry for each in O(probes), in the same order.
  returned: success, and failure if a probe did not meet its expectation
  type: list
  elements: dict
  contains:
    from:
      description: The namespace that was probed from.
      type: str
      sample: red
    what:
      description: What was tried.
      type: str
      sample: ping 10.0.0.2
    ok:
      description: Whether the expectation was met. Null in check mode.
      type: bool
      sample: true
    result:
      description: What came back in the last attempt. For O(probes[].ping) the address that answered, for O(probes[].tcp) the
        address and port that accepted, for O(probes[].resolve) the list of all addresses. Null if nothing did, and in check
        mode.
      type: raw
      sample: 10.0.0.2
    rtt_ms:
      description: How long the last attempt took to succeed, in milliseconds. The round trip of the echo, the time until the
        connection was open (without the resolver), or the time until the name was resolved. Null if it failed, and in check
        mode.
      type: float
      sample: 0.067
    error:
      description: Why the last attempt failed, also if failure was expected; or in what a success was not the one expected. Null
        for an expected success, and in check mode.
      type: str
      sample: no answer within 2 s
  sample:
    - from: red
      what: ping 10.0.0.2
      ok: true
      result: 10.0.0.2
      rtt_ms: 0.067
      error: null
    - from: red
      what: tcp 10.0.0.2:81
      ok: true
      result: null
      rtt_ms: null
      error: connection refused
msg:
  description: Why the task failed. If probes did not meet their expectation, a table of them, one in each line.
  returned: failure
  type: str
  sample: |-
    2 of 3 probes did not meet their expectation:
      from red   ping 10.0.0.9    no answer within 2 s
      from host  tcp 10.0.0.1:80  connection refused
"""

from ansible_collections.nslab.linux.plugins.module_utils._probing import run_module


def main() -> None:
    run_module(
        argument_spec={
            "probes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "from": {"type": "str", "default": "host"},
                    "ping": {"type": "str"},
                    "tcp": {"type": "str"},
                    "resolve": {"type": "str"},
                    "expect": {"type": "str", "default": "success"},
                    "source": {"type": "str"},
                    "timeout": {"type": "float", "default": 2},
                    "retries": {"type": "int", "default": 2},
                },
            },
        },
    )


if __name__ == "__main__":
    main()
