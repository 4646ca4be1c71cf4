# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that a person sees."""

from __future__ import annotations


class Problem(Exception):
    """Why a task can't be done, in one line for a person.

    The text names the object, what was wanted of it, what the kernel answered (if it was asked) and what to do.
    Everything that a module refuses, and every refusal of the kernel, reaches the user as a Problem; any other
    exception is a fault of the collection itself.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        text = " ".join(what.split())
        if advice:
            text = f"{text.rstrip('.')}: {' '.join(advice.split())}"
        super().__init__(text)
