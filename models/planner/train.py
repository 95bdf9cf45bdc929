"""Trains the planner's adapter: `python -m models.planner.train`; runs on from its last checkpoint.

Only the answer counts: the head and the loss are computed for its tokens alone. Batches hold requests of like length.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from models.planner import lora
from models.planner.data import pairs
from models.planner.prompt import END, frame_prompt

log = logging.getLogger(__name__)
WINDOW = 512  # pairs that are sorted by length together


@dataclass(frozen=True)
class Config:
    """How the adapter is trained; saved beside its checkpoint.

    Attributes:
        examples: pairs in all; the learning rate reaches 0 after the last.
        batch: pairs a step.
        rank: of the adapter.
        rate: the highest learning rate; it is reached after `warm` steps and falls to 0 in a straight line.
        clip: the longest gradient.
        seed: of the data and of the adapter.
    """

    examples: int = 11_000
    batch: int = 16
    rank: int = 16
    rate: float = 1e-3
    warm: int = 20
    clip: float = 1.0
    seed: int = 1


@dataclass
class Progress:
    """Where a run stands."""

    seen: int = 0
    step: int = 0


def encode(tokenizer: Any, pair: dict[str, str]) -> tuple[list[int], int]:
    """Give the tokens of a pair, and how many of them are the prompt."""
    prompt = tokenizer(frame_prompt(pair["request"])).input_ids
    return prompt + tokenizer(pair["answer"] + END).input_ids, len(prompt)


def batches(tokenizer: Any, source: Iterator[dict[str, str]], config: Config) -> Iterator[list[tuple[list[int], int]]]:
    """Cut a stream of pairs into batches of like length, in a shuffled order."""
    order = random.Random(config.seed)
    while window := [encode(tokenizer, pair) for pair in islice(source, WINDOW)]:
        window.sort(key=lambda item: len(item[0]))
        cut = [window[at : at + config.batch] for at in range(0, len(window), config.batch)]
        order.shuffle(cut)
        yield from cut


def answer_loss(net: Any, batch: Sequence[tuple[list[int], int]]) -> torch.Tensor:
    """Give the mean cross-entropy of the answers' tokens, nats."""
    longest = max(len(tokens) for tokens, _ in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    wanted = torch.full((len(batch), longest), -100)
    for row, (ids, prompt) in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        wanted[row, prompt - 1 : len(ids) - 1] = torch.tensor(ids[prompt:])
    # padding lies to the right of a causal net: nothing that counts can see it, so it needs no mask
    hidden = net.model(tokens, use_cache=False).last_hidden_state
    counted = wanted >= 0
    logits = net.lm_head(hidden[counted]).float()
    return functional.cross_entropy(logits, wanted[counted])


class Run:
    """A training run: the net, its adapters, the optimiser and its checkpoint."""

    def __init__(self, net: Any, config: Config, folder: Path) -> None:
        torch.manual_seed(config.seed)
        self.net, self.config, self.folder = net, config, folder
        self.adapters = lora.adapt(net, config.rank)
        self.parameters = lora.parameters(self.adapters)
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        self.progress = Progress()
        self.deadline: tuple[float, float] | None = None
        self.left_before = 1.0

    def rate(self) -> float:
        """Give the learning rate of the next step."""
        left = 1 - self.progress.seen / self.config.examples
        if self.deadline is not None:
            began, end = self.deadline
            left = self.left_before * (end - time.monotonic()) / (end - began)
        return self.config.rate * max(0.0, left) * min(1.0, (self.progress.step + 1) / self.config.warm)

    def begin_with(self, adapter: Path, seen: int) -> None:
        """Go on from an adapter that was shipped, which has no moments; its run had seen so many pairs."""
        from safetensors.torch import load_file

        tensors = load_file(adapter)
        for name, value in self.parameters.items():
            value.data.copy_(tensors[name])
        self.progress.seen = seen

    def end_within(self, seconds: float) -> None:
        """Let the learning rate reach 0 after so many seconds from now, however far the run comes until then."""
        self.left_before = 1 - self.progress.seen / self.config.examples
        self.deadline = (time.monotonic(), time.monotonic() + seconds)

    def over(self) -> bool:
        """Say whether the time is up."""
        return self.deadline is not None and time.monotonic() > self.deadline[1]

    def advance(self, batch: list[tuple[list[int], int]]) -> float:
        """Take one step; gives the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        loss = answer_loss(self.net, batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        self.optimiser.step()
        self.progress.seen += len(batch)
        self.progress.step += 1
        return float(loss.detach())

    def save(self) -> None:
        """Write the checkpoint: adapters, moments and where the run stands, the last as the sign that all is there."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach() for name, value in self.parameters.items()}
        for name, value in self.parameters.items():
            moments = self.optimiser.state[value]
            tensors |= {f"m.{name}": moments["exp_avg"], f"v.{name}": moments["exp_avg_sq"]}
        state = {"progress": asdict(self.progress), "config": asdict(self.config)}
        temporary = self.folder / "checkpoint.tmp"
        save_file(tensors, temporary, metadata={"state": json.dumps(state)})
        temporary.replace(self.folder / "checkpoint.safetensors")

    def resume(self) -> bool:
        """Go on from the folder's checkpoint, if there is one."""
        from safetensors import safe_open

        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            self.progress = Progress(**state["progress"])
            for name, value in self.parameters.items():
                value.data.copy_(file.get_tensor(name))
                self.optimiser.state[value] = {
                    "step": torch.tensor(float(self.progress.step)),
                    "exp_avg": file.get_tensor(f"m.{name}"),
                    "exp_avg_sq": file.get_tensor(f"v.{name}"),
                }
        return True


def train(run: Run, tokenizer: Any, *, save_every_s: float = 120) -> None:
    """Train to the end of the run's examples or of its time, with a checkpoint now and then."""
    source = islice(pairs(run.config.seed + run.progress.seen), run.config.examples - run.progress.seen)
    started, tokens, saved, losses = time.monotonic(), 0, time.monotonic(), []
    for batch in batches(tokenizer, source, run.config):
        losses.append(run.advance(batch))
        tokens += sum(len(ids) for ids, _ in batch)
        if run.progress.step % 10 == 0:
            speed = tokens / (time.monotonic() - started)
            mean = sum(losses[-10:]) / len(losses[-10:])
            log.info("seen %6d  loss %.4f  rate %.2e  %.0f tokens/s", run.progress.seen, mean, run.rate(), speed)
        if time.monotonic() - saved > save_every_s:
            run.save()
            saved = time.monotonic()
        if run.over():
            break
    run.save()


def smoke(folder: Path) -> float:
    """Train a tiny random net for a few steps; gives the fall of its loss."""
    from transformers import LlamaConfig, LlamaForCausalLM

    class Letters:
        def __call__(self, text: str) -> Any:
            return type("Tokens", (), {"input_ids": [min(ord(letter), 511) for letter in text]})

    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=2048,
    )  # fmt: skip
    run = Run(LlamaForCausalLM(shape), Config(examples=96, batch=16, rank=4, rate=2e-2, warm=1), folder)
    known = [encode(Letters(), pair) for pair in islice(pairs(1), 8)]
    before = float(answer_loss(run.net, known).detach())
    train(run, Letters())
    lora.save(run.adapters, folder / "planner.safetensors")
    return before - float(answer_loss(run.net, known).detach())


def main() -> None:
    """Train on the base in a GGUF file, and write the adapter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="GGUF file of the base model")
    parser.add_argument("--folder", type=Path, default=Path("build/planner"), help="where the checkpoint lies")
    parser.add_argument("--shipped", action="store_true", help="go on from the shipped adapter, without its moments")
    parser.add_argument("--examples", type=int, default=Config.examples)
    parser.add_argument("--minutes", type=float, help="end after so long instead, for machines that are shared")
    parser.add_argument("--rank", type=int, default=Config.rank)
    parser.add_argument("--rate", type=float, default=Config.rate)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a tiny random net, some seconds")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    if options.smoke:
        log.info("loss fell by %.3f", smoke(options.folder))
        return
    if options.base is None:
        parser.error("--base is missing: the GGUF file that `python -m models.language.weights` unpacked")
    from models.language.gguf_llama import load_net, load_tokenizer
    from models.language.weights import ADAPTER, MANIFEST

    tokenizer = load_tokenizer(options.base)
    net = load_net(options.base, torch.bfloat16)
    run = Run(net, Config(examples=options.examples, rank=options.rank, rate=options.rate), options.folder)
    if not run.resume() and options.shipped:
        run.begin_with(ADAPTER, json.loads(MANIFEST.read_text())["trained"]["seen"])
    log.info("going on at %d", run.progress.seen)
    if options.minutes:
        run.end_within(60 * options.minutes)
    train(run, tokenizer)
    lora.save(run.adapters, options.folder / "planner.safetensors")


if __name__ == "__main__":
    main()
