"""The whole of Acme in one command: its servers, a studio, its look, and one request that needs them all.

    python examples/acme/run.py              # with the model that the studio is set to, the local one by default
    python examples/acme/run.py --scripted   # with answers from script.json, without any model

Everything is said to the studio by the `atelier` command, as a person would; each command is printed before it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ATELIER = Path(sys.executable).with_name("atelier")
REQUEST = "write a product text for the blue backpack in our brand voice and draw it in our style"
LOOKED_AT = ("brand", "products", "house")
START_S = 150.0
END_S = 20.0


class Studio:
    """A studio with a data folder of its own, and the settings of this example."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.environment = environment

    def atelier(self, *words: str) -> Any:
        """Say a command, carry it out with `--json`, and give what it prints.

        Raises:
            SystemExit: it failed; what it said was shown.
        """
        print(f"\n$ atelier {shlex.join(words)}", flush=True)
        done = subprocess.run(
            [ATELIER, *words, "--json"],
            cwd=HERE,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(done.stdout + f"this command failed; the studio's logs are in {self.home / 'logs'}")
        return json.loads(done.stdout)


def main() -> None:
    """Read the command line and run the example."""
    parser = argparse.ArgumentParser(description="Run the Acme example.")
    parser.add_argument("--scripted", action="store_true", help="answers from script.json instead of a language model")
    parser.add_argument("--minutes", type=float, default=3, help="how long the style is trained at most (15 is better)")
    parser.add_argument("--home", type=Path, default=HERE / ".atelier", help="the data folder")
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # what was started is ended
    args.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    share_weights(args.home)
    port, token = free_port(), secrets.token_urlsafe(24)
    with ExitStack() as stack:
        stack.enter_context(product_service(port, token))
        studio = stack.enter_context(running(args.home, environment(args.home, port, token, scripted=args.scripted)))
        show(studio, args.minutes)


def show(studio: Studio, minutes: float) -> None:
    """Look at what the services offer and the documents say, train the look, and ask."""
    for name in LOOKED_AT:
        print_tools(studio.atelier("solutions", "check", name))
    print_solutions(studio.atelier("solutions", "list"))
    words = ("--images", "pictures", "--captions", "pictures/captions.csv", "--licence", "MIT")
    began = time.monotonic()
    studio.atelier("styles", "train", "acme", *words, "--minutes", f"{minutes:g}")
    print(f"The style was trained in {(time.monotonic() - began) / 60:.1f} minutes.")
    print_made(studio.atelier("make", REQUEST))


def environment(home: Path, port: int, token: str, *, scripted: bool) -> dict[str, str]:
    """Give the variables of the studio: settings beside `atelier.toml`, and the secret that it names."""
    service = f"http://127.0.0.1:{port}"
    path = os.pathsep.join([str(ATELIER.parent), os.environ.get("PATH", os.defpath)])
    given = {
        "ATELIER_HOME": str(home.resolve()),
        "ATELIER_PORT": "0",
        "ATELIER_SOLUTIONS": json.dumps({"products": {"document": f"{service}/openapi.json", "base_url": service}}),
        "ACME_TOKEN": token,
        "PATH": path,
    }
    if scripted:
        given["ATELIER_LLM"] = f"scripted:{HERE / 'script.json'}"
    return {**os.environ, **given}


def share_weights(home: Path) -> None:
    """Let the new data folder use the weights that `make install` put into the usual one."""
    from models.language.weights import FOLDER
    from orchestrator.settings import default_home, read_settings

    usual = next((one for one in (read_settings().home, default_home()) if (one / FOLDER).exists()), None)
    if usual is not None and not (home / FOLDER).exists():
        (home / FOLDER).symlink_to((usual / FOLDER).resolve())


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def product_service(port: int, token: str) -> Iterator[None]:
    """Run the product service."""
    words = [sys.executable, "product_service.py", "--port", str(port)]
    with ended(subprocess.Popen(words, cwd=HERE, env={**os.environ, "ACME_TOKEN": token})) as process:
        wait_for(process, lambda: answers(port), "the product service")
        print(f"Acme's product service listens on port {port}.")
        yield


@contextmanager
def running(home: Path, variables: dict[str, str]) -> Iterator[Studio]:
    """Run a studio until the end."""
    up = home / "up.log"
    with up.open("wb") as log:
        process = subprocess.Popen([ATELIER, "up"], cwd=HERE, env=variables, stdout=log, stderr=log)
    with ended(process):
        wait_for(process, lambda: b"Atelier is ready" in up.read_bytes(), f"the studio (it said why in {up})")
        print(up.read_text().strip().splitlines()[-1])
        yield Studio(home, variables)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process, and end it afterwards."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], is_there: Callable[[], bool], what: str) -> None:
    """Wait until a process is ready.

    Raises:
        SystemExit: it ended, or took too long.
    """
    deadline = time.monotonic() + START_S
    while not is_there():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{what} did not start")
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Tell whether something listens on a port."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def print_tools(solution: dict[str, Any]) -> None:
    """Say what a solution offers."""
    for tool in solution["approved"] or ():
        print(f"  {solution['id']}.{tool['name']}: {tool['description'].splitlines()[0]}")


def print_solutions(solutions: list[dict[str, Any]]) -> None:
    """Say how the solutions are."""
    for one in solutions:
        error = f" ({one['error']['message']})" if one["error"] else ""
        print(f"  {one['id']}: {one['kind']}, {one['state']}{error}")


def print_made(made: dict[str, Any]) -> None:
    """Say what was planned, what was made, and from what."""
    print("\nThe plan:")
    for step in made["plan"]["steps"]:
        print(f"  {step['id']} {step['tool']}({json.dumps(step['args'], ensure_ascii=False)})")
    print("\nIn the library, and as files:")
    for asset in made["assets"]:
        print(f"  {asset['kind']}: {asset['path']}")
    written = [asset for asset in made["assets"] if asset["kind"] == "text"]
    print(f"\n{Path(written[-1]['path']).read_text().strip()}")
    print(f"\n{made['reply']}")


if __name__ == "__main__":
    main()
