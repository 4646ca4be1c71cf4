# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# gate: the text speaks of the project alone: no path and no word of the place where it was written

set -euo pipefail

# Home directories, temporary places and words of the workshop, spelled so that this file does not find itself.
pattern='/wor[k]/|/roo[t]/|/hom[e]/[a-z]|/tm[p]/[a-z0-9]+/|\.pyen[v]/|issue[ ]#?[0-9]+|this sessio[n]|another helpe[r]|\bTOD[O]\b|\bFIXM[E]\b'
found=0
while IFS= read -r -d '' file; do
    [[ -f $file && $file != LICENSES/* && $file != COPYING ]] || continue
    if grep -HnEI "$pattern" "$file"; then found=1; fi
done < <(git ls-files -z --cached --others --exclude-standard)
exit $found
