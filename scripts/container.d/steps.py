"""Runs the steps of the Containerfile without an engine: Debian and its Python stand in for the base image.

The root is made by debootstrap. The packages are fetched by pip outside of it, so that the root needs no network.
At the end the image's command runs as a user of any ID of group 0, on a read-only root, and its health check passes.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pip._vendor.packaging.markers import Marker  # pip is in every environment

CHECKOUT = Path(__file__).parents[2]
CONTAINERFILE = CHECKOUT / "service" / "guide" / "samples" / "doorcode.Containerfile"
PACKAGES = "python3,python3-venv,ca-certificates"
ANY_USER = "54321:0"
START_SECONDS = 120


def instructions() -> list[tuple[str, str]]:
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, value.strip()) for name, _, value in (line.partition(" ") for line in lines)]


class Stage:
    """A root in which steps run, and what ENV, WORKDIR and the like have set for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
        self.directory = "/"
        self.words: dict[str, list[str]] = {}

    def run(self, command: str) -> None:
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        chroot = ["chroot", str(self.root), "/bin/sh", "-c", f"cd {shlex.quote(self.directory)} && {command}"]
        subprocess.run(chroot, env={**self.environ, **offline}, check=True, stdout=subprocess.DEVNULL)

    def copy(self, source: Path, target: str) -> None:
        place = self.root / target.lstrip("/") if target.startswith("/") else self.inside / target
        if source.is_dir():
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True, ignore=leave_out)
        else:
            shutil.copy(source, place)

    @property
    def inside(self) -> Path:
        return self.root / self.directory.lstrip("/")

    def follow(self, name: str, value: str, stages: dict[str, "Stage"]) -> None:
        print(f"{name} {value}", flush=True)
        match name:
            case "RUN":
                self.run(value)
            case "COPY":
                *sources, target = value.split()
                root = CHECKOUT
                if sources[0].startswith("--from="):
                    root = stages[sources.pop(0).removeprefix("--from=")].root
                for source in sources:
                    self.copy(root / source.lstrip("/"), target)
            case "ENV":
                given = dict(word.split("=", 1) for word in shlex.split(value))
                self.environ |= {name: text.replace("$PATH", self.environ["PATH"]) for name, text in given.items()}
            case "WORKDIR":
                self.directory = value
                self.inside.mkdir(parents=True, exist_ok=True)
            case "CMD" | "ENTRYPOINT":
                self.words[name] = json.loads(value)
            case "HEALTHCHECK":
                self.words[name] = json.loads(value.partition("CMD ")[2])
            case "USER" | "VOLUME" | "EXPOSE":
                pass
            case _:
                raise SystemExit(f"This script does not know {name}.")


def build(base: Path, directory: Path) -> Stage:
    stages: dict[str, Stage] = {}
    stage = None
    for name, value in instructions():
        if name == "FROM":
            print(f"FROM {value} (Debian stands in)", flush=True)
            named = re.search(r" AS (\w+)$", value)
            root = directory / (named[1] if named else "last")
            subprocess.run(["cp", "-a", base, root], check=True)  # devices, too
            stage = stages[root.name] = Stage(root)
        else:
            assert stage is not None, "a Containerfile begins with FROM"
            stage.follow(name, value, stages)
    assert stage is not None
    return stage


def fetch_wheels(base: Path) -> None:
    """Put the locked packages for the root's Python into the root."""
    ask = ["chroot", str(base), "python3", "-c", "import platform; print(platform.python_version())"]
    version = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    lock = base / "lock"
    lock.write_text(locked_for(version))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    minor = version.rpartition(".")[0]
    subprocess.run([*pip, f"--python-version={minor}", "-r", lock, "-d", base / "wheels"], check=True)


def locked_for(version: str) -> str:
    """Return the lock file without markers, for this Python: pip reads markers for the Python on which it runs."""
    python = {"python_full_version": version, "python_version": version.rpartition(".")[0]}
    kept = []
    for block in re.split(r"\n(?=\w)", (CHECKOUT / "scripts" / "requirements.txt").read_text()):
        marker = re.match(r"\S+==\S+ ; (.+?) \\\n", block)
        if marker is None:
            kept.append(block)
        elif Marker(marker[1]).evaluate(python):
            kept.append(block.replace(f" ; {marker[1]}", "", 1))
    return "\n".join(kept)


def serve(stage: Stage) -> None:
    """Run the image's command as an engine would with a read-only root, until its health check passes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    root = shlex.quote(str(stage.root))
    mounts = (
        f"mount --bind {root} {root} && mount -t tmpfs -o mode=1777 tmpfs {root}/tmp"
        f" && mount -t tmpfs -o mode=0770,gid=0 tmpfs {root}/data && mount --bind /dev {root}/dev"
        f" && mount -o remount,ro,bind {root}"
    )
    words = shlex.join([*stage.words["ENTRYPOINT"], *stage.words["CMD"], "--port", port])
    health = shlex.join([*stage.words["HEALTHCHECK"], "--ready", "--port", port])
    inside = f"cd {stage.directory} && ! touch /usr/x 2>/dev/null && ({words} & server=$!; until {health}; do kill -0 $server && sleep 1 || exit 1; done; kill $server; wait $server; [ $? -eq 143 ])"
    chroot = f"chroot --userspec={ANY_USER} {root} /bin/sh -c {shlex.quote(inside)}"
    environ = {**stage.environ, "DOORCODE_PUBLIC_URL": "https://auth.example.com"}
    script = ["unshare", "--mount", "sh", "-c", f"{mounts} && exec {chroot}"]
    subprocess.run(script, env=environ, check=True, timeout=START_SECONDS)


def main() -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("Skipped: the steps need root and debootstrap. Nothing was checked.")
        return
    with tempfile.TemporaryDirectory(prefix="doorcode-container-") as name:
        started = time.monotonic()
        base = Path(name) / "base"
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "stable", str(base)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        fetch_wheels(base)
        serve(build(base, Path(name)))
        print(f"Every step runs, and the image serves as user {ANY_USER} ({time.monotonic() - started:.0f} s).")


if __name__ == "__main__":
    main()
