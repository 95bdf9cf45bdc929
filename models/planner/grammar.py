"""The grammar (GBNF) of plans in lines: known tools, typed arguments in range, references to what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.planner.signatures import Argument, Signature

MAX_STEPS = 16
STRING = r'"\"" ([^"\\\x00-\x1F] | "\\" ["\\nt]){1,400} "\""'


def grammar(tools: Mapping[str, Signature], assets: Iterable[tuple[str, str]] = (), max_steps: int = MAX_STEPS) -> str:
    """Write the grammar of all plans that can be asked for now.

    Args:
        tools: what a plan may call.
        assets: (alias, kind) of the assets that a plan may refer to, "a1" for "@a1".
        max_steps: the most steps of a plan.

    Returns:
        GBNF; its root is a plan in lines with no free whitespace.
    """
    known = list(assets)
    rules = {"root": "end | " + '"s1=" call1 "\\n" then2', "end": '"reply=" text', "text": STRING}
    rules["int2"] = "[0-9] [0-9]?"
    for step in range(1, max_steps + 1):
        if step > 1:
            rules[f"then{step}"] = f'end | "s{step}=" call{step} "\\n" then{step + 1}'
        calls = [_call(signature, step, known, rules) for signature in tools.values()]
        rules[f"call{step}"] = " | ".join(call for call in calls if call) or '"none"'
    rules[f"then{max_steps + 1}"] = "end"
    return "\n".join(f"{name} ::= {body}" for name, body in rules.items()) + "\n"


def _call(signature: Signature, step: int, known: list[tuple[str, str]], rules: dict[str, str]) -> str | None:
    stem = signature.name.replace("_", "-")
    parts: list[tuple[str, bool]] = []
    for argument in signature.arguments:
        value = _value(argument, f"{stem}-{argument.name.replace('_', '-')}", step, known, rules)
        if value is None and argument.required:
            return None
        if value is not None:
            parts.append((f'"{argument.name}=" {value}', argument.required))
    rule = f"{stem}{step}"
    rules[rule] = f'"{signature.name}(" {_sequence(parts, rule, rules)} ")"'
    return rule


def _sequence(parts: list[tuple[str, bool]], stem: str, rules: dict[str, str]) -> str:
    """Write arguments in order, commas between; any optional one may be missing."""
    tails = [""] * (len(parts) + 1)
    for at in range(len(parts) - 1, 0, -1):
        text, required = parts[at]
        one = f'", " {text}'
        name = f"{stem}-t{at}"
        rules[name] = f"{one if required else f'({one})?'} {tails[at + 1]}".rstrip()
        tails[at] = name
    firsts = []
    for at, (text, required) in enumerate(parts):
        firsts.append(f"{text} {tails[at + 1]}".rstrip())
        if required:
            break
    else:
        firsts.append('""')
    return f"({' | '.join(firsts)})"


def _value(argument: Argument, stem: str, step: int, known: list[tuple[str, str]], rules: dict[str, str]) -> str | None:
    if argument.type in {"asset", "assets"}:
        return _reference(argument, stem, step, known, rules)
    if argument.type == "choice":
        body = " | ".join(_literal(value) for value in argument.values)
    elif argument.type == "strings":
        body = '"[" text (", " text){0,15} "]"'
    elif argument.type == "integer":
        body = integers(int(argument.low or 0), int(argument.high if argument.high is not None else 10**9))
    elif argument.type == "number":
        body = _numbers(argument)
    elif argument.type == "boolean":
        body = '"true" | "false"'
    else:
        return "text"
    rules[stem] = body
    return stem


def _literal(value: str | int) -> str:
    return f'"\\"{value}\\""' if isinstance(value, str) else f'"{value}"'


def _reference(
    argument: Argument, stem: str, step: int, known: list[tuple[str, str]], rules: dict[str, str]
) -> str | None:
    aliases = [f'"@{alias}"' for alias, kind in known if not argument.kinds or kind in argument.kinds]
    one = [*aliases]
    if step > 1:
        steps = " | ".join(f'"$s{earlier}"' for earlier in range(1, step))
        rules[f"ref{step}"] = f"({steps})"
        single = argument.type == "asset"
        one.append(f'ref{step} "[" int2 "]"' if single else f'ref{step} ("[" int2 "]")?')
    if not one:
        return None
    name = f"{stem}{step}"
    rules[name] = " | ".join(one)
    if argument.type == "assets":
        rules[f"{name}s"] = f'{name} | "[" {name} (", " {name}){{1,15}} "]"'
        return f"{name}s"
    return name


def integers(low: int, high: int) -> str:
    """Write the whole numbers from `low` to `high`, both at least 0, as alternatives.

    Raises:
        ValueError: the range is empty or goes below 0.
    """
    if not 0 <= low <= high:
        raise ValueError(f"a range from {low} to {high} has no grammar here")
    parts = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        last = min(high, 10**digits - 1)
        parts.append(_same_length(str(first), str(last)))
    return " | ".join(parts)


def _same_length(low: str, high: str) -> str:
    if low == high:
        return f'"{low}"'
    if set(low) == {"0"} and set(high) == {"9"}:
        return "[0-9]" if len(low) == 1 else f"[0-9]{{{len(low)}}}"
    if len(low) == 1:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" ({_same_length(low[1:], high[1:])})'
    rest = len(low) - 1
    parts = [f'"{low[0]}" ({_same_length(low[1:], "9" * rest)})']
    if int(high[0]) - int(low[0]) > 1:
        parts.append(f"[{int(low[0]) + 1}-{int(high[0]) - 1}] [0-9]{{{rest}}}")
    parts.append(f'"{high[0]}" ({_same_length("0" * rest, high[1:])})')
    return " | ".join(parts)


def _numbers(argument: Argument) -> str:
    """Whole numbers in range, or with one or two decimals below the highest; the plan's check does the rest."""
    low, high = int(argument.low or 0), int(argument.high if argument.high is not None else 10**6)
    whole = integers(low + ((argument.low or 0) > low), high)
    return f'{whole} | ({integers(low, max(low, high - 1))}) "." [0-9] [0-9]?'
