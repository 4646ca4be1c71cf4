#!/usr/bin/env bash
# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# scripts/ansible_test.sh ARGUMENTS...: ansible-test on a copy of the checkout. ansible-test wants its collection at a
# path that ends in ansible_collections/nslab/linux and takes no link, so the files that git knows (and new ones that it
# does not ignore) are copied to a repository of their own. Needs $GATE (where results go) and ansible-test on the PATH.

set -euo pipefail

copy=$NSLAB_CHECKOUT/.cache/ansible-test/$(basename "$GATE")/ansible_collections/nslab/linux
rm -rf "$copy"
mkdir -p "$copy"
cd "$NSLAB_CHECKOUT"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do
        # A file that was removed but not yet committed is still listed.
        if [[ -e $file ]]; then printf '%s\0' "$file"; fi
    done |
    tar --create --null --files-from=- | tar --extract --directory="$copy"
cd "$copy"
git init --quiet
git add --all

# ansible-test makes virtual environments for its checks and fetches get-pip.py for them once, under the version that it
# names. Ours seeds them from the interpreter's own ensurepip, so that a machine which reaches a package index but
# nothing else can run them too.
internal=$("$VIRTUAL_ENV/bin/python" -c 'import ansible_test; print(ansible_test.__path__[0])')/_internal
version=$(sed -n "s/^ *pip='\(.*\)',$/\1/p" "$internal/python_requirements.py")
get_pip=$HOME/.ansible/test/cache/get_pip_${version//./_}.py
if [[ ! -e $get_pip ]]; then
    mkdir -p "$(dirname "$get_pip")"
    cp "$NSLAB_CHECKOUT/scripts/get_pip.py" "$get_pip"
fi

# The import and compile checks run on every Python of a managed host that is here. A shim that answers for an
# interpreter which is not chosen breaks them: they get links to real ones, and a PATH without shims.
# shellcheck source=scripts/python.sh
source "$NSLAB_CHECKOUT/scripts/python.sh"
pythons=$GATE/pythons
mkdir -p "$pythons"
for name in python3.9 python3.10 python3.11 python3.12 python3.13; do
    if real=$(real_python "$name"); then
        ln -s "$real" "$pythons/$name"
        printf '%s ' "${name#python}" >>"$GATE/pythons.txt"
    fi
done
path=
while IFS= read -r -d : directory; do
    [[ $directory == */shims || $directory == "$VIRTUAL_ENV/bin" ]] || path+=:$directory
done <<<"$PATH:"
export PATH=$VIRTUAL_ENV/bin:$pythons$path

ansible-test "$@"
