"""The exact text around a request that the adapter was trained with."""

from __future__ import annotations

SYSTEM = "Plan"
END = "<|im_end|>"


def frame_prompt(request: str) -> str:
    """Wrap a request (with the thread's assets above it) as the local net reads it."""
    return f"<|im_start|>system\n{SYSTEM}{END}\n<|im_start|>user\n{request}{END}\n<|im_start|>assistant\n"
