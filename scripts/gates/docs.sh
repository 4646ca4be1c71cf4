# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: antsibull-docs: the documentation of every plugin and role

set -euo pipefail

antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
