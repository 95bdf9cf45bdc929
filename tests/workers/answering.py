"""A worker process that answers queries for vectors: the vector of "7" is [7.0]. Arguments: broker, queue."""

from __future__ import annotations

import sys

from workers.brokers import make_app
from workers.messages import VECTOR, VECTORS
from workers.pool import WakingPool


def vector(text: str) -> list[float]:
    return [float(text)]


def vectors(texts: list[str]) -> list[list[float]]:
    return [vector(text) for text in texts]


if __name__ == "__main__":
    url, queue = sys.argv[1:]
    app = make_app(url, url)
    app.task(vector, name=VECTOR, ignore_result=False)
    app.task(vectors, name=VECTORS, ignore_result=False)
    worker = app.Worker(pool=WakingPool, concurrency=2, queues=[queue], loglevel="ERROR", without_mingle=True)
    worker.start()
