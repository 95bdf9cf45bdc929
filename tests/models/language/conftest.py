import os
from pathlib import Path

import pytest

from models.language.weights import BASE_FILE, FOLDER, CheckpointError, local_model
from orchestrator.settings import default_home


@pytest.fixture(scope="session")
def installed_home() -> Path:
    """Give the data folder with the installed weights; skip on a laptop without them, fail in CI."""
    home = Path(os.environ.get("ATELIER_HOME") or default_home()).expanduser()
    try:
        local_model(home)
    except CheckpointError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    assert (home / FOLDER / BASE_FILE).exists()
    return home
