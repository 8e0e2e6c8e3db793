"""Debian's packages, downloaded and unpacked without root, beside the machine's own apt and never through its sources.

apt itself verifies signatures and hashes. It runs on a configuration of ours under the cache directory, one a Debian
release, and takes the mirror that the machine already uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inspector.base import xdg
from inspector.lab import LabError, Missing, Say, manifest

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "https://deb.debian.org/debian"
CHECKSUMS = "packages.sha256"
"""In an unpacked tree: which packages are in it, with their checksums, as `sha256sum` prints them."""
STAMP = "updated"
"""When the package lists were fetched."""
LISTS_LAST = 24 * 3600
"""Seconds until package lists are fetched again before a download."""

# The hooks of the machine's apt configuration (APT::Update) would act on the machine's own cache: they are cleared. Its
# proxy settings stay.
CONFIGURATION = """\
#clear APT::Update;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::Cache "{home}";
Dir::Cache::archives "{home}/archives";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::Lists "{home}/lists";
Dir::State::status "/dev/null";
"""


class NotOffered(Missing):
    """The release has no such package, or not in that version."""


def cache_home() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/vtdpi/lab`."""
    return xdg.cache() / "lab"


def tree(
    name: str,
    release: str,
    packages: Sequence[str | Callable[[Apt], str]],
    say: Say,
    finish: Callable[[Path], None] | None = None,
    dependencies: bool = False,
    chosen: Callable[[str], bool] = lambda package: True,
) -> Path:
    """The directory, named `name` in the cache, that holds the unpacked packages.

    Downloads and unpacks what is not there yet, or is damaged since (see `manifest`). The directory appears whole or
    not at all, and any number of programs may ask for it at once.

    Args:
        release: Debian's name for it, `bookworm`.
        packages: `PACKAGE` or `PACKAGE=VERSION`, or what finds that out when it is needed.
        finish: what is made of the unpacked files, in place, before anyone sees them.
        dependencies: all that the packages depend on as well, the C library included.
        chosen: which of those, by their names; all, unless told.

    Raises:
        NotOffered: the release has no such package or version.
        LabError: apt or dpkg is missing, or the download or the unpacking failed.
    """
    place = cache_home() / name
    if place.is_dir() and not manifest.damage(place):
        return place
    with _alone(say):
        if place.is_dir():
            damaged = manifest.damage(place)
            if not damaged:
                return place
            say(f"{place} is damaged ({damaged}): unpacking it again")
        apt = Apt(release, say)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=cache_home()) as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            names = [package if isinstance(package, str) else package(apt) for package in packages]
            apt.unpack(names, Path(scratch), root, dependencies, chosen)
            if finish:
                finish(root)
            manifest.write(root)
            if place.is_dir():
                place.rename(Path(scratch) / "damaged")
            root.rename(place)
    return place


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    home = cache_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("w")
    except OSError as error:
        raise LabError(f"the cache {home} cannot be written ({error.strerror}); set XDG_CACHE_HOME") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another vtdpi lab that is downloading")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Apt:
    """apt-get for one Debian release, with its own sources, lists and cache."""

    def __init__(self, release: str, say: Say) -> None:
        self.release = release
        self.say = say
        self.home = cache_home() / "apt" / release
        self.mirror = ""
        for tool in ("apt-get", "dpkg-deb"):
            if not shutil.which(tool):
                raise Missing(
                    f"{tool} is missing: the lab takes Xen from Debian's packages; install apt and dpkg, "
                    "or name your own with --xen-image and --symbols"
                )

    def unpack(
        self,
        packages: Sequence[str],
        scratch: Path,
        root: Path,
        dependencies: bool,
        chosen: Callable[[str], bool] = lambda package: True,
    ) -> None:
        """Download into `scratch` and unpack into `root`; see `tree`."""
        updated = self._update(only_if_old=True)
        try:
            self._download(packages, scratch, dependencies, chosen)
        except LabError:
            # The mirror may have dropped what day-old lists name, or the lists are damaged.
            if updated:
                raise
            (self.home / STAMP).unlink(missing_ok=True)
            shutil.rmtree(self.home / "lists", ignore_errors=True)
            self._update(only_if_old=False)
            self._download(packages, scratch, dependencies, chosen)
        archives = sorted(scratch.glob("*.deb"))
        sums = [f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n" for archive in archives]
        (root / CHECKSUMS).write_text("".join(sums))
        for archive in archives:
            _run(["dpkg-deb", "-x", str(archive), str(root)], f"{archive.name} cannot be unpacked")
            archive.unlink()

    def depends(self, package: str) -> list[str]:
        """The names of the packages that a package depends on directly."""
        self._update(only_if_old=True)
        text = _run(self._apt("apt-cache", "depends", package), f"{package} cannot be looked up")
        return re.findall(r"^\s*Depends: ([^<\s]\S*)$", text, re.MULTILINE)

    def _download(
        self, packages: Sequence[str], scratch: Path, dependencies: bool, chosen: Callable[[str], bool]
    ) -> None:
        if dependencies:
            text = _run(
                self._apt("apt-get", "-s", "install", "--no-install-recommends", *packages),
                f"what {', '.join(packages)} depends on cannot be found out",
            )
            found = re.findall(r"^Inst (\S+) \((\S+) ", text, re.M)
            packages = [f"{name}={version}" for name, version in found if chosen(name)]
        several = f"{packages[0]} and {len(packages) - 1} more" if len(packages) > 2 else " and ".join(packages)
        self.say(f"downloading {several}")
        _run(self._apt("apt-get", "-q", "download", *packages), f"{several} cannot be downloaded", cwd=scratch)

    def _update(self, only_if_old: bool) -> bool:
        stamp = self.home / STAMP
        if only_if_old and stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime < LISTS_LAST:
            return False
        if not KEYRING.exists():
            raise Missing(f"{KEYRING} is missing, so packages cannot be verified: install debian-archive-keyring")
        self.mirror = _mirror()
        for part in ("lists/partial", "archives/partial"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        (self.home / "apt.conf").write_text(CONFIGURATION.format(home=self.home))
        (self.home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {self.mirror} {self.release} main\n")
        self.say(f"fetching the package lists of Debian {self.release} from {self.mirror}")
        _run(self._apt("apt-get", "-q", "update"), f"the package lists at {self.mirror} cannot be fetched")
        stamp.touch()
        return True

    def _apt(self, tool: str, *words: str) -> list[str]:
        return [tool, "-c", str(self.home / "apt.conf"), *words]


def _mirror() -> str:
    """The mirror of the first Debian source that the machine has, or Debian's own."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Label: Debian"]
    found = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return next((uri for uri in found.stdout.split() if re.match(r"(https?|file):/", uri)), MIRROR)


def _run(words: Sequence[str], failure: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd, env=environment)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "dpkg"))]
        said = complaints[0] if complaints else (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        kind = NotOffered if re.search(r"was not found|Unable to locate|has no installation", done.stderr) else Missing
        raise kind(f"{failure}: {words[0]} says: {said}")
    return done.stdout
