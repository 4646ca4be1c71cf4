# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: ruff: style and formatting

set -euo pipefail

ruff check --no-cache .
ruff format --no-cache --check .
