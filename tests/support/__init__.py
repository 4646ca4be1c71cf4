# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: a host of their own, a way to run modules on it, and foreign witnesses of its state."""
