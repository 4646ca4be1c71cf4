# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: mypy --strict on what runs on the managed host, on the scripts and on the benchmarks

set -euo pipefail

# A cache of before may not know a file that has come since.
export MYPY_CACHE_DIR=$GATE/mypy
shared=()
[[ ! -d plugins/plugin_utils ]] || shared=(plugins/plugin_utils)
cd .cache
MYPYPATH=. mypy --config-file "$NSLAB_CHECKOUT/pyproject.toml" ansible_collections/nslab/linux/plugins/module_utils "${shared[@]/#/ansible_collections/nslab/linux/}"
cd "$NSLAB_CHECKOUT"
MYPYPATH=scripts mypy --config-file pyproject.toml --python-version 3.11 scripts/*.py
MYPYPATH=.:tests mypy --config-file pyproject.toml --python-version 3.11 --package benchmarks
