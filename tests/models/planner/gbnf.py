"""A small recogniser of GBNF, enough for the planner's grammars: it says whether a text is in the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(\[(?:[^\]\\]|\\.)*\])|([A-Za-z][\w-]*)|(\{\d+(?:,\d*)?\})|([()|?*+]))')
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def _unescape(text: str) -> str:
    text = re.sub(r"\\x([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r'\\([nt"\\])', lambda match: ESCAPES[match[1]], text)


class Grammar:
    def __init__(self, text: str) -> None:
        self.rules = dict(line.split(" ::= ", 1) for line in text.strip().splitlines())
        self.parsed: dict[str, Any] = {}

    def accepts(self, text: str) -> bool:
        self.text = text
        self.ends = cache(self._ends)
        return len(text) in self.ends("root", 0)

    def _ends(self, rule: str, at: int) -> frozenset[int]:
        if rule not in self.parsed:
            tokens = [match[0].strip() for match in TOKEN.finditer(self.rules[rule])]
            self.parsed[rule] = self._alternatives(iter([*tokens, ")"]))
        return frozenset(self._match(self.parsed[rule], at))

    def _alternatives(self, tokens: Iterator[str]) -> tuple[str, list[Any]]:
        options: list[list[Any]] = [[]]
        for token in tokens:
            if token == ")":
                break
            if token == "|":
                options.append([])
            elif token == "(":
                options[-1].append(self._alternatives(tokens))
            elif token in {"?", "*", "+"}:
                low, high = {"?": (0, 1), "*": (0, 10**6), "+": (1, 10**6)}[token]
                options[-1].append(("many", options[-1].pop(), low, high))
            elif token[0] == "{":
                low, _, high = token[1:-1].partition(",")
                top = int(high) if high else (10**6 if "," in token else int(low))
                options[-1].append(("many", options[-1].pop(), int(low), top))
            elif token[0] == '"':
                options[-1].append(("text", _unescape(token[1:-1])))
            elif token[0] == "[":
                options[-1].append(("class", re.compile(token)))
            else:
                options[-1].append(("rule", token))
        return ("or", options)

    def _match(self, node: Any, at: int) -> set[int]:
        kind = node[0]
        if kind == "or":
            found: set[int] = set()
            for option in node[1]:
                ends = {at}
                for part in option:
                    ends = {end for start in ends for end in self._match(part, start)}
                found |= ends
            return found
        if kind == "text":
            return {at + len(node[1])} if self.text.startswith(node[1], at) else set()
        if kind == "class":
            return {at + 1} if at < len(self.text) and node[1].match(self.text[at]) else set()
        if kind == "rule":
            return set(self.ends(node[1], at))
        return self._many(node, at)

    def _many(self, node: Any, at: int) -> set[int]:
        _, inner, low, high = node
        reached, ends, count = {at}, ({at} if low == 0 else set()), 0
        while reached and count < high:
            reached = {end for start in reached for end in self._match(inner, start)} - {at}
            count += 1
            if count >= low:
                new = reached - ends
                ends |= reached
                if not new:
                    break
        return ends
