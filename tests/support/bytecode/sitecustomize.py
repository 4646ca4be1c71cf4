# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles what is imported from a zip file once, as Python does with plain files.

A module that Ansible sends is such a file, with a hundred others that it imports: compiling them takes half of the time of
a task. Every Python that has this directory in PYTHONPATH imports this at its start. The code is kept under a hash of
the source, in the directory that $NSLAB_BYTECODE names.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

KEPT = os.environ.get("NSLAB_BYTECODE", "")
compile_source = zipimport._compile_source


def compile_once(path: str, source: bytes) -> object:
    kept = f"{KEPT}/{_imp.source_hash(0, source).hex()}.{sys.implementation.cache_tag}"
    try:
        with open(kept, "rb") as file:
            code = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):  # as another user, too, who may not read it
        code = compile_source(path, source)
        keep(code, kept)
    else:
        _imp._fix_co_filename(code, path)  # the zip file is elsewhere each time
    return code


def keep(code: object, kept: str) -> None:
    beside = f"{kept}.{os.getpid()}"
    try:
        with open(beside, "xb") as file:
            marshal.dump(code, file)
        os.replace(beside, kept)
    except OSError:
        pass


if KEPT:
    zipimport._compile_source = compile_once
