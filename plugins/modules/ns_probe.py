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
  - Sends pings and UDP datagrams, opens TCP connections and resolves names from inside network namespaces, and fails if any of
    it does not turn out as expected. Any number of probes, from any number of namespaces, in one task; they run at the same time.
  - The far end may be any server, or one that the module itself opens in a namespace for as long as the task runs. Such a far
    end tells from which address it was reached, so that NAT can be checked, and makes UDP as sure as TCP.
  - Needs neither a C(ping) binary nor any other program on the managed host.
  - Changes nothing. No namespace, link, address, route, firewall rule, file or sysctl is touched; a TCP connection is closed as
    soon as it is open, without a byte being sent over it, unless O(probes[].listen) or O(probes[].seen_as) is given. Only the
    kernel may remember for a while what it saw, as it does of any traffic (neighbours, conntrack entries).
  - All input is checked, every namespace is entered, every privilege is tried and every far end is opened before the first
    packet is sent.
options:
  probes:
    description:
      - What to try. The probes from one namespace run at the same time, and so do the namespaces, up to 16 probes in each of up
        to 32 namespaces; the order of the list is only that of the result.
      - Each has exactly one of O(probes[].ping), O(probes[].tcp), O(probes[].udp) and O(probes[].resolve).
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
      udp:
        description:
          - A host and a port to which a UDP datagram is sent, written as for O(probes[].tcp). An answer from there is a success.
          - With O(probes[].listen) the module itself answers. Without it, whatever comes back counts. What is sent then is a DNS
            query for the name servers of the root, which every DNS server answers in some way, and every server that echoes; most
            others say nothing, and so does a firewall that drops.
          - A port on which nobody listens is told by the ICMP error that comes back, C(port unreachable).
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
          - With O(probes[].listen), V(success) wants the answer of that very far end, and V(failure) wants that nothing arrived
            there. A datagram that was heard, and whose answer got lost on its way back, is neither.
          - An address, such as V(10.0.0.1), wants it among those that O(probes[].resolve) finds.
        type: str
        default: success
      listen:
        description:
          - A network namespace, written as for O(probes[].from), in which the module opens the far end itself. It listens on all
            addresses of the namespace, on O(probes[].listen_port), and closes when all probes of the task are through. Nothing
            has to be installed or started there.
          - Probes that name the same namespace and port share one far end. It answers those probes, and nobody else.
          - A port that is in use there is an error, before anything is sent. To probe the service that uses it, leave this out.
          - For O(probes[].tcp) and O(probes[].udp).
        type: str
      listen_port:
        description:
          - The port on which the far end listens, 1 to 65535, where it is another than the one that is probed. So it is with a
            published port that leads to another one inside.
          - Left out, it is the port in O(probes[].tcp) or O(probes[].udp). Needs O(probes[].listen).
        type: int
      seen_as:
        description:
          - The address as which the far end must see the probe, such as that of the router behind which the namespace stands.
            With a probe that arrives under another one the task fails, and both are told.
          - With O(probes[].listen) the far end tells it. Without, a server must do so. It gets C(GET / HTTP/1.0) over TCP, or the
            datagram of O(probes[].udp), and the first word of its answer must be the address, in plain text; if it answers by
            HTTP, the first word of the body. Many servers that tell people their address do just that.
          - For O(probes[].tcp) and O(probes[].udp), if O(probes[].expect) is V(success).
        type: str
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
    description: Can run in check mode. Everything is checked there as in a real run, but nothing is sent and no far end is
      opened; what would be found out is null.
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
  - the capability CAP_SYS_ADMIN to probe from another namespace than V(host), or listen in one; CAP_NET_RAW for pings;
    CAP_NET_BIND_SERVICE to listen on ports below 1024; C(become=true) gives them
notes:
  - Names are resolved by libc with the namespace's own files. As C(ip netns exec) does, each file in C(/etc/netns/NAME/) takes
    the place of its counterpart in C(/etc), if there is one, for the probing process alone. A namespace that is given by path or
    by process has the files of the host.
  - Except from V(host), resolvers of the host that libc would ask by a socket (systemd-resolved through C(nss-resolve), nscd,
    avahi) are hidden from the probes, as they would answer for the host.
  - An option C(timeout) or C(attempts) in C(resolv.conf) is overridden, so that O(probes[].timeout) holds.
  - Each ICMP error that comes back is told by its name, with the address that sent it.
  - The sockets with which the module listens belong to a process of its own, which ends with the task, however that ends. Their
    connections are reset, not closed, so that the port is free again at once.
  - There is nothing to undo. When a single probe fails the task fails, but all of them are made and returned. With C(ignore_errors) or C(failed_when) the
    result can be judged in another way.
seealso:
  - module: nslab.linux.netns
  - module: nslab.linux.ns_resolv
  - module: nslab.linux.lab
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

- name: See that a DNS server answers over UDP
  nslab.linux.ns_probe:
    probes:
      - from: red
        udp: 198.51.100.1:53
      - from: red
        udp: '[2001:db8:51::1]:53'

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

- name: See that UDP gets from one namespace to another, where nobody listens yet
  nslab.linux.ns_probe:
    probes:
      - from: red
        udp: 10.0.0.2:51820
        listen: blue
      - from: red
        udp: '[fd00::2]:51820'
        listen: blue
        seen_as: fd00::1

# In the namespace outside there is 198.51.100.1, and the host is 198.51.100.2.
- name: See that a namespace goes out behind the address of the host
  nslab.linux.ns_probe:
    probes:
      - from: red
        udp: 198.51.100.1:4500
        listen: outside
        seen_as: 198.51.100.2
      - from: red
        tcp: 198.51.100.1:8443
        listen: outside
        seen_as: 198.51.100.2

- name: The same by a web server that answers with the address of its client
  nslab.linux.ns_probe:
    probes:
      - from: red
        tcp: web.example:80
        source: 10.0.0.1
        seen_as: 198.51.100.2

# Port 8081 of the host is published and leads to port 80 of 10.0.0.2, which is blue; 8082 is not.
- name: See that a published port leads to its service, before that is started, and that no other does
  nslab.linux.ns_probe:
    probes:
      - from: outside
        tcp: 198.51.100.2:8081
        listen: blue
        listen_port: 80
        seen_as: 198.51.100.1
      - from: outside
        tcp: 198.51.100.2:8082
        listen: blue
        listen_port: 80
        expect: failure

# A firewall in blue drops what comes in for port 514.
- name: See that a firewall lets nothing in, which by UDP only the far end can tell
  nslab.linux.ns_probe:
    probes:
      - from: red
        udp: 10.0.0.2:514
        listen: blue
        expect: failure
        timeout: 0.5

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
        address and port that accepted, for O(probes[].udp) the address and port that answered, for O(probes[].resolve) the list
        of all addresses. Null if nothing did, and in check mode.
      type: raw
      sample: 10.0.0.2
    rtt_ms:
      description: How long the last attempt took to succeed, in milliseconds. The round trip of the echo or the
        datagram, the time until the connection was open (without the resolver), or the time until the name was resolved. Null if it failed, and in check
        mode.
      type: float
      sample: 0.067
    error:
      description: Why the last attempt failed, also if failure was expected; or in what a success was not the one expected. Null
        for an expected success, and in check mode.
      type: str
      sample: no answer within 2 s
    seen:
      description: The address as which the far end saw the last attempt, with O(probes[].listen) or O(probes[].seen_as). Null if
        it did not tell, and in check mode.
      type: str
      sample: 198.51.100.2
  sample:
    - from: red
      what: ping 10.0.0.2
      ok: true
      result: 10.0.0.2
      rtt_ms: 0.067
      error: null
      seen: null
    - from: red
      what: tcp 10.0.0.2:81
      ok: true
      result: null
      rtt_ms: null
      error: connection refused
      seen: null
    - from: red
      what: udp 198.51.100.1:4500
      ok: true
      result: 198.51.100.1:4500
      rtt_ms: 0.214
      error: null
      seen: 198.51.100.2
msg:
  description: Why the task failed. If probes did not meet their expectation, a table of them, one in each line.
  returned: failure
  type: str
  sample: |-
    4 of 5 probes did not meet their expectation:
      from red   ping 10.0.0.9          no answer within 2 s
      from host  tcp 10.0.0.1:80        connection refused
      from red   udp 198.51.100.1:4500  the far end saw 10.0.0.1, not 198.51.100.2
      from red   udp 10.0.0.2:51820     no answer within 2 s, nothing arrived in blue
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
                    "udp": {"type": "str"},
                    "resolve": {"type": "str"},
                    "expect": {"type": "str", "default": "success"},
                    "listen": {"type": "str"},
                    "listen_port": {"type": "int"},
                    "seen_as": {"type": "str"},
                    "source": {"type": "str"},
                    "timeout": {"type": "float", "default": 2},
                    "retries": {"type": "int", "default": 2},
                },
            },
        },
    )


if __name__ == "__main__":
    main()
