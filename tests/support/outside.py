# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated outside: the internet as a lab sees it, in one namespace.

    host  uplink 198.51.100.2/24 ──── eth0 198.51.100.1/24  outside      (with --ipv6 2001:db8:51::2/64 ── ::1/64)

The namespace `outside` has a web server on port 80 that answers with the address of its client, and a DNS server on
port 53, udp and tcp. It has no route to any lab: an answer finds its way back only if the lab's traffic arrives under
the host's own address, so that a page fetched from a lab proves NAT.

`python3 outside.py up` and `down` make and remove it in the sandbox where they run; `serve` is what runs inside.
Only the standard library and the `ip` and `nsenter` commands are needed.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

NAMESPACE = "outside"
UPLINK = "uplink"
HOST4, OUTSIDE4 = "198.51.100.2", "198.51.100.1"
HOST6, OUTSIDE6 = "2001:db8:51::2", "2001:db8:51::1"

PID_FILE = Path("/run/outside.pid")
RESOLV_CONF = Path("/etc/resolv.conf")

TYPE_A, TYPE_CNAME, TYPE_TXT, TYPE_AAAA = 1, 5, 16, 28
NOERROR, NXDOMAIN = 0, 3
LARGEST_UDP_ANSWER = 512

NAMES: dict[str, dict[int, list[str]]] = {
    "web.example": {TYPE_A: [OUTSIDE4], TYPE_AAAA: [OUTSIDE6]},
    "v4only.example": {TYPE_A: [OUTSIDE4]},
    "v6only.example": {TYPE_AAAA: [OUTSIDE6]},
    "www.example": {TYPE_CNAME: ["web.example"]},
    "short.search.example": {TYPE_A: ["198.51.100.77"]},
    # Too long for a datagram: a client has to ask again by tcp.
    "big.example": {TYPE_A: [f"198.51.100.{last}" for last in range(1, 101)]},
}


class Web(socketserver.StreamRequestHandler):
    """Answers any request with the client's address and a line feed."""

    timeout = 10

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.rfile.readline().strip():
                pass
            client = ipaddress.ip_address(self.client_address[0])
            body = f"{getattr(client, 'ipv4_mapped', None) or client}\n".encode()
            head = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)


class DatagramDns(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        answer = dns_answer(self.rfile.read())
        if len(answer) > LARGEST_UDP_ANSWER:
            answer = truncated(answer)
        self.wfile.write(answer)


class StreamDns(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            while True:
                (length,) = struct.unpack("!H", self.rfile.read(2))
                answer = dns_answer(self.rfile.read(length))
                self.wfile.write(struct.pack("!H", len(answer)) + answer)


class Tcp(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class Udp(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class Udp6(Udp):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


def dns_answer(query: bytes) -> bytes:
    """The answer to one query, as RFC 1035 has it, from NAMES; a CNAME is followed."""
    number, flags, _questions, _an, _ns, _ar = struct.unpack("!6H", query[:12])
    name, end = read_name(query, 12)
    (kind,) = struct.unpack("!H", query[end : end + 2])
    question = query[12 : end + 4]
    records = NAMES.get(name)
    answers = b""
    count = 0
    at = b"\xc0\x0c"
    while records is not None and TYPE_CNAME in records and kind != TYPE_CNAME:
        target = records[TYPE_CNAME][0]
        answers += at + resource(TYPE_CNAME, write_name(target))
        count += 1
        at = write_name(target)
        records = NAMES.get(target)
    for value in (records or {}).get(kind, []):
        data = write_name(value) if kind == TYPE_CNAME else ipaddress.ip_address(value).packed
        answers += at + resource(kind, data)
        count += 1
    code = NOERROR if name in NAMES else NXDOMAIN
    recursion_desired = flags & 0x0100
    head = struct.pack("!6H", number, 0x8480 | recursion_desired | code, 1, count, 0, 0)
    return head + question + answers


def truncated(answer: bytes) -> bytes:
    number, flags = struct.unpack("!2H", answer[:4])
    _name, end = read_name(answer, 12)
    return struct.pack("!6H", number, flags | 0x0200, 1, 0, 0, 0) + answer[12 : end + 4]


def resource(kind: int, data: bytes) -> bytes:
    return struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def read_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while message[at]:
        length = message[at]
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def write_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def serve() -> None:
    """Serves until it is killed; one line on standard output says that all sockets listen."""
    servers: list[socketserver.BaseServer] = [
        Tcp(("::", 80), Web),
        Tcp(("::", 53), StreamDns),
        # A datagram answered from a wildcard socket of both families would leave from a mapped address.
        Udp(("0.0.0.0", 53), DatagramDns),
        Udp6(("::", 53), DatagramDns),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    print("listening", flush=True)
    # The pipe of the one who started us is not ours to hold open.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.pause()


def up(ipv6: bool = False) -> int:
    """Makes the outside in the sandbox of the caller; returns the pid of its server, which runs on by itself."""
    if not os.path.ismount("/etc"):
        raise SystemExit("outside: /etc is not a mount of its own, so this is no sandbox: refused to write resolv.conf")
    addresses = [(f"{HOST4}/24", f"{OUTSIDE4}/24")] + [(f"{HOST6}/64 nodad", f"{OUTSIDE6}/64 nodad")] * ipv6
    gateways = [OUTSIDE4] + [OUTSIDE6] * ipv6
    ip(
        f"netns add {NAMESPACE}",
        f"link add name {UPLINK} type veth peer name eth0 netns {NAMESPACE}",
        *(f"address add {here} dev {UPLINK}" for here, _there in addresses),
        f"link set dev {UPLINK} up",
        *(f"route add default via {gateway}" for gateway in gateways),
    )
    ip(
        *(f"address add {there} dev eth0" for _here, there in addresses),
        "link set dev lo up",
        "link set dev eth0 up",
        netns=NAMESPACE,
    )
    # It may be a symbolic link into a /run that the sandbox has hidden.
    with contextlib.suppress(FileNotFoundError):
        RESOLV_CONF.unlink()
    RESOLV_CONF.write_text(f"nameserver {OUTSIDE4}\n", encoding="ascii")
    server = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{NAMESPACE}", sys.executable, "-S", __file__, "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert server.stdout is not None
    first = server.stdout.readline()
    if first != b"listening\n":
        last = (first + server.stdout.read()).decode(errors="replace").strip().rpartition("\n")[2]
        server.wait()
        raise SystemExit(f"outside: the servers did not start: {last}")
    PID_FILE.write_text(f"{server.pid}\n", encoding="ascii")
    server.stdout.close()
    # It outlives this process on purpose, which Popen would complain of.
    server.returncode = 0
    return server.pid


def down() -> None:
    """Removes what `up` made; what is gone already is no error."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(PID_FILE.read_text(encoding="ascii")), signal.SIGTERM)
    for command in (["link", "delete", "dev", UPLINK], ["netns", "delete", NAMESPACE]):
        subprocess.run(["ip", *command], check=False, stderr=subprocess.DEVNULL)
    with contextlib.suppress(FileNotFoundError):
        PID_FILE.unlink()


def ip(*lines: str, netns: str = "") -> None:
    """Runs commands of ip(8), given without the word `ip`, one a line."""
    words = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, input="\n".join(lines) + "\n")
    if done.returncode:
        raise SystemExit(f"outside: {' '.join(words)}: {' '.join(done.stderr.split())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("do", choices=["up", "down", "serve"])
    parser.add_argument("--ipv6", action="store_true", help="an IPv6 outside too")
    options = parser.parse_args()
    if options.do == "serve":
        serve()
    elif options.do == "up":
        up(options.ipv6)
    else:
        down()


if __name__ == "__main__":
    main()
