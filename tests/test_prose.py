"""The prose of the documentation: short lines, and sentences that hold one idea."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md')])
LINE_LIMIT = 160
WORD_LIMIT = 20.0

FENCE = re.compile(r'^( *)(```|~~~).*?^ *\2[^\n]*$', re.MULTILINE | re.DOTALL)
HTML = re.compile(r'<!--.*?-->|</?[a-zA-Z][^<>\n]*>', re.DOTALL)
LINK = re.compile(r'!?\[([^\[\]]*)\]\([^()\s]*\)')
CODE = re.compile(r'`+([^`]+)`+')
BULLET = re.compile(r'^\s*(?:[-*+]|\d+[.)])\s+')
# A full stop, perhaps a closing bracket, and what begins a sentence. No sentence ends at the initials of a name or at an abbreviation
# that the pages have; "300 K." and "POD M." are no initials.
END = re.compile(
    r'(?<!^[A-Z]\.)(?<!, [A-Z]\.)(?<!\. [A-Z]\.)(?<!Phys\.)(?<!Chem\.)(?<!Rev\.)(?<!Soc\.)(?<!Jpn\.)'
    r'(?<=[.!?])[)\]"*_]*\s+(?=[(\["*_]*[A-Z0-9Α-Ωα-ω−-])'
)


def blocks(page: str) -> list[str]:
    """Return the paragraphs and list items of a page, each in one line: no code blocks, tables, headings, HTML and link targets."""
    page = HTML.sub(' ', FENCE.sub('\n', page))
    found: list[str] = ['']
    for line in page.splitlines():
        if not line.strip() or line.lstrip().startswith(('|', '#')):
            found.append('')
        elif BULLET.match(line):
            found.append(BULLET.sub('', line))
        else:
            found[-1] = f'{found[-1]} {line.strip()}'.strip()
    return [block for block in found if block]


def sentences(block: str) -> list[str]:
    """Return the sentences of a paragraph; each word of inline code is one word, whatever signs it has."""
    return [part for part in END.split(CODE.sub(_plain, LINK.sub(r'\1', block))) if words(part)]


def words(sentence: str) -> list[str]:
    """Return what stands between blanks and has a letter or a digit."""
    return [word for word in sentence.split() if re.search(r'\w', word)]


def _plain(code: re.Match[str]) -> str:
    return ' '.join('Code' for _ in words(code.group(1))) or 'Code'


def words_per_sentence(page: str) -> float:
    """Return the mean over all sentences of a page; 0 for a page without prose."""
    lengths = [len(words(sentence)) for block in blocks(page) for sentence in sentences(block)]
    return sum(lengths) / max(len(lengths), 1)
