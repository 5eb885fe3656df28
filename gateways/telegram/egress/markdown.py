"""What agents write, CommonMark with tables, as text with styles: for Telegram knows neither headings, nor lists, nor tables.

Nothing of what was written gets lost: HTML is shown as it stands, a definition of a link as well, and what a picture or a link
in a table leads to stands behind it. Addresses that are none of the web's are shown and lead nowhere.
"""

import sys
from collections.abc import Iterable
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from gateways.telegram.egress.splitting import plain
from gateways.telegram.egress.styled import Style, Styled

MAX_CHARS = 50_000
"""Of a text with styles: what some texts take to read grows with the square of their length, to 8 s for so many brackets."""

_PARSER = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": sys.maxsize})
    .enable(["table", "strikethrough"])
    .disable(["reference", "html_block"])
)
_INLINE: dict[str, Style] = {"strong": "bold", "em": "italic", "s": "strike"}
_RULE = "———"


def blocks_of(text: str) -> list[Styled]:
    """The paragraphs, lists, tables … of a text, in order; of one that is too long, or too deep, as it was written."""
    if len(text) > MAX_CHARS:
        return plain(text)
    try:
        root = SyntaxTreeNode(_PARSER.parse(text))
        return [block for node in root.children if (block := _block(node))]
    except RecursionError:  # a limit of the parser's own would leave out what is deeper
        return plain(text)


def _block(node: SyntaxTreeNode, depth: int = 0) -> Styled:
    match node.type:
        case "bullet_list" | "ordered_list":
            return _list(node, depth)
        case "blockquote":
            return _stack(node.children, depth, "\n\n").within("quote")
        case "table":
            return _table(node)
        case _:
            return _leaf(node)


def _leaf(node: SyntaxTreeNode) -> Styled:
    match node.type:
        case "heading":
            return _inline(node.children).within("bold")
        case "fence" | "code_block":
            language = (node.info.split() or [""])[0]
            return Styled(node.content.rstrip("\n")).within("pre", language)
        case "hr":
            return Styled(_RULE)
        case _:
            return _inline(node.children)


def _stack(nodes: Iterable[SyntaxTreeNode], depth: int, between: str) -> Styled:
    return Styled.join(between, filter(None, (_block(node, depth) for node in nodes)))


def _list(node: SyntaxTreeNode, depth: int) -> Styled:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    items = list[Styled]()
    for n, item in enumerate(node.children):
        mark = "•" if first is None else f"{first + n}."
        said = _stack(item.children, depth + 1, "\n")
        items.append(Styled.join("", [Styled(f"{'   ' * depth}{mark} "), said]))
    return Styled.join("\n", items)


def _inline(nodes: Iterable[SyntaxTreeNode], *, bare: bool = False) -> Styled:
    """Words with their styles; bare: where no link leads anywhere."""
    return Styled.join("", (_word(node, bare=bare) for node in nodes))


def _word(node: SyntaxTreeNode, *, bare: bool) -> Styled:
    match node.type:
        case "softbreak" | "hardbreak":
            return Styled("\n")
        case "code_inline":
            return Styled(node.content).within("code")
        case "link" | "image":
            said = _inline(node.children, bare=bare)
            if node.markup == "autolink":
                return said  # Telegram sees by itself that it is one
            return _link(said, str(node.attrs.get("href") or node.attrs.get("src") or ""), bare=bare)
        case "inline" | "strong" | "em" | "s":
            said = _inline(node.children, bare=bare)
            return said.within(_INLINE[node.type]) if node.type in _INLINE else said
        case _:
            return Styled(node.content)


def _link(said: Styled, address: str, *, bare: bool) -> Styled:
    if not said or said.text == address:
        return Styled(address)
    if bare or not address.startswith(("http://", "https://")):
        return Styled.join("", [said, Styled(f" ({address})" if address else "")])
    return said.within("link", address)


def _table(node: SyntaxTreeNode) -> Styled:
    """Columns of one width each: on a telephone there is nothing better."""
    rows = [
        [" ".join(_inline(cell.children, bare=True).text.split()) for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    lines = [" │ ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    lines.insert(1, "─┼─".join("─" * width for width in widths))
    return Styled("\n".join(lines)).within("pre")
