"""What `consult` finds of the project's own documents, beside BM25, and whether it is silent where nothing answers.

    python -m benchmarks.retrieval [--home DIR]

Questions are in `questions.jsonl`, in other words than the documents'; a found passage is right if it is of the named
document and holds the named phrase. Questions without a document are plausible ones that nothing answers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

from models.embedding import TextEncoder
from models.language.weights import ENCODER_FOLDER, FOLDER
from orchestrator.settings import Settings
from store import passages, solutions
from store.database import Database
from store.passages import NewDocument, NewPassage
from store.schema import migrate
from tools.base import Passage, Source
from tools.knowledge.rank import relevance
from tools.knowledge.read import read
from tools.knowledge.split import said, split
from workers.consult import Shelves, space_of

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = Path(__file__).with_name("questions.jsonl")
FOLDERS = ("README.md", "CHANGELOG.md", "docs/**/*.md", "models/**/CARD.md", "models/**/LOG.md")
SOLUTION = "docs"
K = 5
EVERY = 1000  # passages that are ranked to find the place of the right one

Ask = Callable[[str, int], Sequence[Passage]]


@dataclass(frozen=True)
class Question:
    """A question; without a document nothing answers it."""

    ask: str
    document: str = ""
    phrase: str = ""

    def is_answered_by(self, found: Passage) -> bool:
        return found.source.document == self.document and _plain(self.phrase) in _plain(found.text)


@dataclass(frozen=True)
class Measured:
    """How often the right passage is among the first five and how high it stands, and how long an answer takes."""

    recall: float
    mrr: float
    p50_ms: float


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--home", type=Path, default=Settings().home, help="the data folder, with the encoder")
    print(report(TextEncoder(parser.parse_args(argv).home / FOLDER / ENCODER_FOLDER, 1)))


def report(encoder: Any) -> str:
    """Fill a library with the documents, ask all questions, and give the table."""
    questions = [Question(**json.loads(line)) for line in QUESTIONS.read_text().splitlines()]
    answered = [question for question in questions if question.document]
    unanswered = [question for question in questions if not question.document]
    with tempfile.TemporaryDirectory(prefix="atelier-retrieval-") as folder:
        database = Database(f"sqlite:///{folder}/atelier.db")
        migrate(database)
        fill(database, encoder)
        shelves = Shelves(database)

        def consult(question: str, limit: int) -> list[Passage]:
            return shelves.consult(encoder, owner="ann", question=question, limit=limit)

        encoder.encode(["a first text loads the net"])
        bm25, total = lexical(database, encoder)
        rows = {
            "consult": measured(consult, answered),
            "  its ranking alone": measured(ranking(shelves, encoder), answered),
            "BM25 (bm25s)": measured(bm25, answered),
        }
        spoke = sum(bool(consult(question.ask, K)) for question in answered)
        silent = sum(not consult(question.ask, K) for question in unanswered)
        database.close()
    lines = [f"{len(answered)} questions on {total} passages, {len(unanswered)} that nothing answers", ""]
    lines.append(f"{'':20}{'recall@5':>10}{'MRR':>8}{'p50 ms':>9}")
    lines += [f"{name:20}{row.recall:10.3f}{row.mrr:8.3f}{row.p50_ms:9.1f}" for name, row in rows.items()]
    wrongly = len(unanswered) - silent
    precision = spoke / max(1, spoke + wrongly)
    lines += ["", f"nothing answers, and it says nothing: {silent} of {len(unanswered)}"]
    lines += [f"something answers, and it says something: {spoke} of {len(answered)}; precision {precision:.3f}"]
    return "\n".join(lines)


def fill(database: Database, encoder: Any) -> None:
    """Keep the documents of this repository as a solution's."""
    declared = {"kind": "knowledge"}
    database.transact(
        lambda connection: solutions.declare(connection, SOLUTION, declared, source="api", now=time.time())
    )
    for path in sorted(path for pattern in FOLDERS for path in ROOT.glob(pattern)):
        document = read(path.name, path.read_bytes())
        made = [
            NewPassage(passage.place, passage.text, encoder.encode(said(document.title, passage)))
            for passage in split(document)
        ]
        name = path.relative_to(ROOT).as_posix()
        new = NewDocument(str(ROOT), name, "0" * 64, 1, 0.0, space_of(encoder), document.title, passages=made)
        database.transact(lambda connection, new=new: passages.save(connection, SOLUTION, new, time.time()))  # type: ignore[misc]


def ranking(shelves: Shelves, encoder: Any) -> Ask:
    """Give what consult would without its silence."""

    def ask(question: str, limit: int) -> list[Passage]:
        vector = encoder.encode([question])[0]
        shelf = shelves.get(SOLUTION, space_of(encoder), len(vector))
        assert shelf is not None
        order = np.argsort(-relevance(shelf.cosines(vector), shelf.lexicon.covered(question)), kind="stable")[:limit]
        found = [shelf.passages[at] for at in order]
        return [Passage(one.content, Source(SOLUTION, one.document), 0.0) for one in found]

    return ask


def lexical(database: Database, encoder: Any) -> tuple[Ask, int]:
    """Give BM25 over the same passages, and their number."""
    with database.read() as connection:
        stored = passages.load(connection, SOLUTION, space_of(encoder), encoder.dim).stored
    texts = [f"{one.title} {one.place} {one.content}" for one in stored]
    retriever = bm25s.BM25()
    retriever.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)

    def ask(question: str, limit: int) -> list[Passage]:
        tokens = bm25s.tokenize(question, stopwords="en", show_progress=False)
        places, _ = retriever.retrieve(tokens, k=min(limit, len(stored)), show_progress=False)
        return [Passage(stored[at].content, Source(SOLUTION, stored[at].document), 0.0) for at in places[0]]

    return ask, len(stored)


def measured(ask: Ask, questions: Sequence[Question]) -> Measured:
    """Ask each question for five passages, then for all of them."""
    times, right, ranks = [], 0, []
    for question in questions:
        started = time.perf_counter()
        found = ask(question.ask, K)
        times.append(1000 * (time.perf_counter() - started))
        right += any(map(question.is_answered_by, found))
        places = [place for place, one in enumerate(ask(question.ask, EVERY), 1) if question.is_answered_by(one)]
        ranks.append(1 / places[0] if places else 0.0)
    return Measured(right / len(questions), float(np.mean(ranks)), float(np.median(times)))


def _plain(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
