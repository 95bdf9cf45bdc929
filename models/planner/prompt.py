"""The exact text around a request that the adapter was trained with."""

from __future__ import annotations

SYSTEM = "Plan"
END = "<|im_end|>"


def prompt_of(request: str, assets: list[str]) -> str:
    """Write what the net reads: the thread's last assets, a line each, oldest first, then the request."""
    lines = [f"@a{number} {asset}" for number, asset in enumerate(assets, 1)]
    return "\n".join([*lines, request])


def frame_prompt(request: str) -> str:
    """Wrap a request (with the thread's assets above it) as the local net reads it."""
    return f"<|im_start|>system\n{SYSTEM}{END}\n<|im_start|>user\n{request}{END}\n<|im_start|>assistant\n"
