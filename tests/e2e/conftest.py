"""A studio as a user has it: the local language model, the packaged encoder, the trained nets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.language import weights
from orchestrator.settings import default_home, read_settings
from tests.conftest import missing
from tests.orchestrator.conftest import House


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house with everything real in it, and the studio running."""
    installed = read_settings().home if (read_settings().home / weights.FOLDER).exists() else default_home()
    if not weights.planner_path(installed).exists():
        missing(f"the weights are not in {installed}: run `make install`")
    folder = tmp_path_factory.mktemp("studio")
    (folder / weights.FOLDER).symlink_to(installed / weights.FOLDER)
    house = House(folder, ATELIER_LLM="local", ATELIER_PRELOAD="true")
    del house.environment["ATELIER_ENCODER"]
    process = house.up()
    yield house
    process.terminate()
    process.wait(20)
