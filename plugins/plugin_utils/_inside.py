# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes of a connection of ansible-core one into a namespace, whichever way it reaches the host."""

from __future__ import annotations

import abc
import os
import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

from ansible_collections.nslab.linux.plugins.module_utils._errors import Problem
from ansible_collections.nslab.linux.plugins.plugin_utils import _entering

display = Display()


class Inside(ConnectionBase):  # type: ignore[misc]  # ansible-core carries no types
    """Stands before the connection of ansible-core among the bases; each command of that is carried into the namespace.

    One command is one command there: nothing is asked before it. Files go through commands, too, so that they are those
    that are seen inside, and read and written as the login user.
    """

    @abc.abstractmethod
    def _host_name(self) -> str:
        """The host as a person would name it."""

    @abc.abstractmethod
    def _login_user(self) -> str:
        """The user as a person would name it."""

    @abc.abstractmethod
    def _exec_plainly(
        self, command: str, stdin: t.IO[bytes] | None = None, stdout: t.IO[bytes] | None = None
    ) -> tuple[int, bytes, bytes]:
        """Run that line on the host with neither terminal nor become. What goes into a given stream is not returned."""

    def _resolve_option_variables(self, variables: dict[str, t.Any], templar: t.Any) -> dict[str, t.Any]:
        """In a delegated task, too, inventory_hostname is the host that the options are of."""
        delegate = getattr(self._play_context, "delegate_to", None)
        mended = {**variables, "inventory_hostname": _entering.asked_host(variables, delegate)}
        before, templar.available_variables = templar.available_variables, mended
        try:
            return dict(super()._resolve_option_variables(mended, templar))
        finally:
            templar.available_variables = before

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        line = self._wrap(cmd)
        try:
            code, stdout, stderr = super().exec_command(line, in_data=in_data, sudoable=sudoable)
        except AnsibleError as error:
            if _may_be_refused(error):
                self._check()
            raise
        answer = self._from_inside(code, stdout, stderr)
        return code, answer.stdout, answer.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        if not os.path.exists(in_path):
            raise AnsibleFileNotFound(f"file or module does not exist: {in_path}")
        with open(in_path, "rb") as file:
            self._transfer(f"exec cat >{shlex.quote(out_path)}", f"put {out_path}", stdin=file)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        try:
            with open(out_path, "wb") as file:
                self._fetch(shlex.quote(in_path), f"fetch {in_path}", file)
        except AnsibleError:
            os.unlink(out_path)
            raise

    def _fetch(self, name: str, what: str, file: t.IO[bytes]) -> None:
        self._transfer(f"exec cat <{name}", what, stdout=file)

    def _transfer(self, command: str, what: str, **streams: t.IO[bytes]) -> None:
        display.vvv(f"{what} in namespace {self.get_option('netns')}", host=self._play_context.remote_addr)
        code, _stdout, stderr = self._run_inside(command, **streams)
        if code:
            raise AnsibleError(f"could not {what}: {stderr.decode('utf-8', 'replace').strip()}")

    def _check(self) -> None:
        """:raises AnsibleConnectionFailure: nobody can get in."""
        self._run_inside("exit 0")

    def _run_inside(self, command: str, **streams: t.IO[bytes]) -> tuple[int, bytes, bytes]:
        code, stdout, stderr = self._exec_plainly(self._wrap(command), **streams)
        answer = self._from_inside(code, stdout, stderr)
        return code, answer.stdout, answer.stderr

    def _wrap(self, command: str) -> str:
        try:
            return _entering.wrap(self.get_option("netns"), command, self.get_option("netns_sudo"))
        except Problem as problem:
            raise AnsibleConnectionFailure(str(problem)) from None

    def _read(self, stdout: bytes, stderr: bytes) -> _entering.Answer:
        return _entering.read(stdout, stderr)

    def _from_inside(self, code: int, stdout: bytes, stderr: bytes) -> _entering.Answer:
        answer = self._read(stdout, stderr)
        if not answer.inside:
            where, user = self._host_name(), self._login_user()
            netns, sudo = self.get_option("netns"), self.get_option("netns_sudo")
            raise AnsibleConnectionFailure(_entering.why_outside(netns, where, user, sudo, code, answer))
        return answer


def _may_be_refused(error: AnsibleError) -> bool:
    """Whether a command that failed on its way may have been refused a namespace, which nobody has said then.

    become waits in vain for its word of success, or takes what the first sudo says for its own; and what is sent to a
    command finds that it has ended. Another failure of a connection is none of ours.
    """
    if isinstance(error, AnsibleConnectionFailure):
        return isinstance(error.__cause__ or error.__context__, OSError)
    return True
