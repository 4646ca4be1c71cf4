# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The userlands of the hosts of a fleet: small Debian trees, made once by mmdebstrap and then only read.

They bring what a managed host has: an interpreter, pyroute2, sshd and sudo; and the foreign tools that are the tests' witnesses.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

# By release: bookworm has Python 3.11 and pyroute2 0.7.2, the oldest that is supported; trixie Python 3.13.
RELEASES = ("bookworm", "trixie")

PACKAGES = (
    "python3",
    "python3-pyroute2",
    "openssh-server",
    "mount",
    "sudo",
    "iproute2",
    "nftables",
    "iputils-ping",
    "curl",
    "procps",
)

# A service that needs no package: `service page start` serves /srv on port 8080.
SERVICE = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          page
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: serves /srv on port 8080
### END INIT INFO
common='--pidfile /run/page.pid --exec /usr/bin/python3'
case $1 in
start) start-stop-daemon --start --oknodo $common --make-pidfile --background --chdir /srv -- -m http.server 8080 ;;
stop) start-stop-daemon --stop --oknodo $common --remove-pidfile --retry 5 ;;
restart) "$0" stop && "$0" start ;;
status) start-stop-daemon --status $common && echo "page is running" || { echo "page is stopped"; exit 3; } ;;
*) echo "usage: $0 start|stop|restart|status" >&2; exit 2 ;;
esac
"""

# ops may become anybody, plain nobody. The password '*' is none, and no locked account, which sshd would refuse.
CUSTOMIZE = r"""
for user in ops plain; do chroot "$1" useradd --create-home --shell /bin/bash --password '*' $user; done
echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/ops"
chmod 0440 "$1/etc/sudoers.d/ops"
rm -f "$1"/etc/ssh/ssh_host_*
"""

UNREAD = ("doc", "man", "info", "locale", "lintian")


def make(directory: Path) -> None:
    """Makes those that are not there as they should be, in directories named by their releases."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for release in RELEASES:
            userland = directory / release
            complete = directory / f"{release}.complete"
            if not complete.exists() or complete.read_text(encoding="ascii") != recipe():
                print(f"  making the userland {release} in {userland}", flush=True)
                complete.unlink(missing_ok=True)
                shutil.rmtree(userland, ignore_errors=True)
                bootstrap(release, userland)
                complete.write_text(recipe(), encoding="ascii")


def recipe() -> str:
    return hashlib.sha256("\0".join([*PACKAGES, SERVICE, CUSTOMIZE, *UNREAD]).encode()).hexdigest()


def bootstrap(release: str, userland: Path) -> None:
    service = userland.with_name(f"{release}.service")
    service.write_text(SERVICE, encoding="ascii")
    log = userland.with_name(f"{release}.log")
    words = [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        # Nothing here survives the machine, and half of the files are never read.
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNREAD),
        '--aptopt=Acquire::Languages "none"',
        f"--customize-hook={CUSTOMIZE}",
        f"--customize-hook=upload {service} /etc/init.d/page",
        '--customize-hook=chmod 0755 "$1/etc/init.d/page"',
        release,
        str(userland),
    ]
    with open(log, "wb") as said:
        code = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said).returncode
    service.unlink()
    if code:
        raise SystemExit(f"mmdebstrap could not make the userland {release}, see {log}")


if __name__ == "__main__":
    # For gates whose tests run without a network.
    make(Path(__file__).resolve().parents[2] / ".cache" / "userlands")
