# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""fleet_connect.py HOST PORT: what ssh calls to reach a host of the fleet, in the network namespace that joins them.

ssh is handed the socket itself (its option ProxyUseFdpass), so that no process stands between.
"""

from __future__ import annotations

import socket
import sys

SECONDS = 30


def main(host: str, port: str) -> None:
    try:
        connection = socket.create_connection((host, int(port)), SECONDS)
    except OSError as error:
        raise SystemExit(f"ssh: connect to host {host} port {port}: {error.strerror or error}") from None
    connection.setblocking(True)
    socket.send_fds(socket.socket(fileno=1), [b"\0"], [connection.fileno()])


main(*sys.argv[1:])
