# SPDX-FileCopyrightText: nslab contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a picture: what may stand in it, how wide it gets, and what a mark reads as."""

from __future__ import annotations

import functools
import typing as t
import unicodedata

from ansible_collections.nslab.linux.plugins.plugin_utils._picture import Mark

# Widths in em. Which font there will be is the viewer's business, so these are those of the widest that are common:
# DejaVu Sans Bold and DejaVu Sans Mono.
_MONO = 0.61
_SANS = {
    0.37: "'ijl /IJ\\|,.",
    0.47: ":;-f!()[]",
    0.53: 'tr_`"*',
    0.62: "?zcs",
    0.71: "LvxyakEFTeo$0123456789",
    0.75: "hnu{}SYbdgpq",
    0.79: "CPZBAKRVX",
    0.88: "UGD#+<=>HN^~OQ&",
    1.14: "w%@MmW",
}
_WIDTH = {letter: width for width, letters in _SANS.items() for letter in letters}


def _char(letter: str, mono: bool) -> float:
    if " " <= letter <= "~":
        return _MONO if mono else _WIDTH[letter]
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0x1F000:
        return 1.4
    # Not in every font: another one steps in, and that is seldom a narrow one.
    return 1.0 if mono else 1.14


@functools.lru_cache(maxsize=8192)
def width_of(text: str, size: float, mono: bool) -> float:
    """In pixels, rather too much than too little."""
    return size * sum(_char(letter, mono) for letter in text)


def clean(text: str) -> str:
    """What XML can hold and one line can show. A name may have any byte but a slash."""
    return "".join(letter if _is_shown(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_shown(letter: str) -> bool:
    # Controls, surrogates (bytes that are not UTF-8), what is not assigned, separators of lines; and format characters,
    # some of which turn the direction of all that follows.
    return unicodedata.category(letter) not in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf")


def shorten(text: str, longest: int) -> str:
    """Cleaned, and cut so that it has no more than that many letters of ordinary width."""
    text = clean(text)
    room, kept = longest * _MONO + 0.001, ""
    if width_of(text, 1, True) <= room:
        return text
    room -= _char("…", True)
    for letter in text:
        room -= _char(letter, True)
        if room < 0:
            break
        kept += letter
    return kept + "…"


def fold(text: str, widest: float, size: float) -> list[str]:
    """Text in lines of that many pixels; a word that is longer than a line is cut."""
    lines: list[str] = []
    for word in clean(text).split():
        word = shorten(word, int(widest / size / _MONO / 2))
        if lines and width_of(f"{lines[-1]} {word}", size, False) <= widest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def said(mark: Mark) -> str:
    """The text of a mark, with the word for its kind in it."""
    text = clean(mark.text).strip()
    if not text:
        return mark.kind
    return text if mark.kind in text.lower() else f"{mark.kind}: {text}"


def unique(marks: t.Iterable[Mark]) -> tuple[Mark, ...]:
    return tuple(dict.fromkeys(marks))
