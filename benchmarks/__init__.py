# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs built in several ways side by side, timed, and shown as a table: ``./dev bench``."""
