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
# A full stop, perhaps a closing bracket, and anything but a small letter. No sentence ends at the initials of a name or at one of
# the abbreviations that the pages have; "300 K." and "POD M." are no initials.
END = re.compile(
    r'(?<!^[A-Z]\.)(?<!, [A-Z]\.)(?<!\. [A-Z]\.)(?<!Phys\.)(?<!Chem\.)(?<!Rev\.)(?<!Soc\.)(?<!Jpn\.)'
    r'(?<=[.!?])[)\]"*_]*\s+(?=[(\["*_]*[^\sa-z])'
)


def blocks(page: str) -> list[str]:
    """Return the paragraphs and list items of a page, each in one line, without code blocks, tables, headings and HTML."""
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


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_no_line_is_too_long(page: Path):
    assert [number for number, line in enumerate(page.read_text().splitlines(), 1) if len(line) > LINE_LIMIT] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_sentences_are_short_on_average(page: Path):
    assert 0 < words_per_sentence(page.read_text()) <= WORD_LIMIT


@pytest.mark.parametrize(
    ('block', 'expected'),
    [
        ('One idea. Another one! A third?', ['One idea.', 'Another one!', 'A third?']),
        (
            'It has 4.5 Å (see below.) The rest, e.g. this, goes on.',
            ['It has 4.5 Å (see below.', 'The rest, e.g. this, goes on.'],
        ),
        ('At 600 K. POD M. Then 0.1 Ry. Å is next.', ['At 600 K.', 'POD M.', 'Then 0.1 Ry.', 'Å is next.']),
        ('A. Togo, J. Phys. Soc. Jpn. 92 (2023). W. A. Tiller.', ['A. Togo, J. Phys. Soc. Jpn. 92 (2023).', 'W. A. Tiller.']),
        ('Semicolons; and colons: end nothing.', ['Semicolons; and colons: end nothing.']),
        ('Run `a.b -c`. `x` is [a page](docs/x.md). **Bold.** End.', ['Run Code Code.', 'Code is a page.', '**Bold.', 'End.']),
        ('- …', []),
    ],
)
def test_where_sentences_end(block: str, expected: list[str]):
    assert sentences(block) == expected


def test_what_of_a_page_is_prose():
    page = """# Title

A line
and the next. <b>Bold</b> <!-- no
prose -->

| a | table |
|---|---|
- one item
  goes on
2. another

```yaml
key: value. Another.
```
  ~~~
  more: code
  ~~~
![figure](figure.png)
"""
    assert [' '.join(block.split()) for block in blocks(page)] == [
        'A line and the next. Bold',
        'one item goes on',
        'another',
        '![figure](figure.png)',
    ]


def test_words_are_counted_over_all_sentences():
    assert words_per_sentence('One two three. Four - `five six`.\n\n- seven\n') == (3 + 3 + 1) / 3
    assert words_per_sentence('```\ncode\n```\n') == 0
