# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: antsibull-changelog: the fragments

set -euo pipefail

antsibull-changelog lint
