# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Sourced: what the environments of a cell really are, as they say it themselves. A cell that ran something else than
# its name says has shown nothing.

environments=$NSLAB_CHECKOUT/.cache/environments

# ask ENVIRONMENT PROGRAM: what its Python prints.
ask() {
    "$environments/$1/bin/python" -c "$2"
}

# python_of ENVIRONMENT: its version, which is the one after the @ of its name, if there is one.
python_of() {
    local is
    is=$(ask "$1" 'import platform; print(platform.python_version())')
    [[ $1 != *@* || $is == "${1#*@}".* ]] || { echo "$1 has Python $is"; exit 1; } >&2
    echo "$is"
}

# core_of ENVIRONMENT: the version of its ansible-core.
core_of() {
    local is named
    is=$(ask "$1" 'import importlib.metadata as m; print(m.version("ansible-core"))')
    named=${1%@*}
    [[ $named != core-* || $is == "${named#core-}".* ]] || { echo "$1 has ansible-core $is"; exit 1; } >&2
    echo "$is"
}

# pyroute2_of ENVIRONMENT: the version of its pyroute2.
pyroute2_of() {
    ask "$1" 'import importlib.metadata as m; print(m.version("pyroute2"))'
}
