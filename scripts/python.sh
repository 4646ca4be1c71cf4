# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Sourced: finding interpreters.

# The real path of an interpreter: neither the shim that answers for it nor that of a virtual environment. One that
# pyenv or uv has installed is found without standing on the PATH.
real_python() {
    local version found
    "$1" -c 'import sys; print(getattr(sys, "_base_executable", "") or sys.executable)' 2>/dev/null && return
    if version=$(pyenv whence "$1" 2>/dev/null | tail -n1) && [[ -n $version ]]; then
        found=$(pyenv prefix "$version")/bin/$1
        if [[ -x $found ]]; then
            echo "$found"
            return
        fi
    fi
    [[ $1 == python3.* ]] && uv python find --no-project --no-python-downloads "${1#python}" 2>/dev/null
}

# What to do for want of Python $1.
python_hint() {
    echo "Python $1 is not here: pyenv install $1, or uv python install $1, or the package python$1-venv where the system has it"
}
