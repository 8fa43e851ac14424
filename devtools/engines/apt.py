"""Unpacks Debian packages into a folder: nothing is installed, no root is needed, apt checks every signature.

All of apt's state lives in a scratch folder beside the unpacked files, so the machine's own apt is neither read
for its package lists nor changed. Only the sources it is configured with decide where packages come from.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from devtools.console import progress
from devtools.engines.engine import EngineUnavailable

# What a server does not need to run in the foreground: maintainer scripts, tools in Perl, just-in-time compilers.
NOT_NEEDED = re.compile(
    r"perl|libperl|lib.*-perl$|libgdbm|debconf|dpkg|tar$|adduser|passwd|ucf|ssl-cert|openssl$|locales|usrmerge"
    r"|postgresql(-client)?-common|libllvm|libz3|mariadb-common|mysql-common|lsb-|readline-common|sensible"
    r"|init-system|coreutils"
)


def unpack(title: str, packages: Sequence[str], into: Path, *, suite: str | None = None) -> None:
    """Unpacks packages with what they depend on into a folder.

    Without `suite` they come from the machine's own release and lean on the libraries installed here. A named
    suite of the same distribution brings everything, its own C library and loader included.
    Raises EngineUnavailable when apt is missing or cannot fetch them.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise EngineUnavailable(f"no private copy of {title}: this machine has no apt to fetch it with")
    scratch = into / ".apt"
    apt = _Apt(title, scratch, suite)
    apt.run("update")
    plan = re.findall(r"^Inst (\S+)", apt.run("install", "--simulate", "--yes", *packages), re.MULTILINE)
    if not set(packages) <= set(plan):
        raise EngineUnavailable(f"no private copy of {title}: apt offers no package {', '.join(packages)}")
    present = set() if suite else _installed(besides=packages[0].split("-")[0])
    wanted = [name for name in plan if not NOT_NEEDED.match(name) and name not in present]
    apt.download(wanted)
    for archive in sorted((scratch / "debs").glob("*.deb")):
        subprocess.run(["dpkg", "-x", archive, into], check=True)
    shutil.rmtree(scratch)


class _Apt:
    """apt-get with all its state in a scratch folder."""

    def __init__(self, title: str, scratch: Path, suite: str | None) -> None:
        self._title = title
        self._debs = scratch / "debs"
        for folder in ("lists/partial", "cache/archives/partial", "etc", "log", "debs"):
            (scratch / folder).mkdir(parents=True)
        (scratch / "installed").touch()
        sources = scratch / "etc/engine.sources"
        sources.write_text(_sources(suite))
        options = {
            "Dir::State": scratch,
            "Dir::State::Lists": scratch / "lists",
            # Pretending that nothing is installed yields the whole plan and no conflicts with what is.
            "Dir::State::status": scratch / "installed",
            "Dir::Cache": scratch / "cache",
            "Dir::Log": scratch / "log",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        self._command = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]

    def run(self, *arguments: str) -> str:
        """Runs one apt-get command and returns what it printed."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, env=_environment()
        )
        if done.returncode:
            raise EngineUnavailable(f"no private copy of {self._title}: {_complaint(done.stderr)}")
        return done.stdout

    def download(self, packages: Sequence[str]) -> None:
        """Fetches archives, with progress."""
        arrived, printed = 0, []
        command = [*self._command, "download", *packages]
        with subprocess.Popen(
            command,
            cwd=self._debs,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
        ) as child:
            for line in child.stdout or ():
                printed.append(line)
                if line.startswith("Get:"):
                    arrived += 1
                    progress(f"fetching {self._title}", arrived, len(packages))
        if child.returncode:
            raise EngineUnavailable(f"no private copy of {self._title}: {_complaint(''.join(printed))}")


def _sources(suite: str | None) -> str:
    """Writes apt's sources: a suite of the machine's own distribution, by default its own with their updates."""
    release = platform.freedesktop_os_release()
    fields = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)"
    command = ["apt-get", "indextargets", "--no-release-info", "--format", fields, "Created-By: Packages"]
    listing = subprocess.run(command, capture_output=True, text=True, env=_environment())
    entries = [line.split("|") for line in dict.fromkeys(listing.stdout.splitlines())]
    codename = release.get("VERSION_CODENAME", "")
    mains = [entry for entry in entries if entry[2] == "main"]
    # A machine may also name its release by an alias such as "testing".
    mains = [entry for entry in mains if entry[1].startswith(codename)] or mains
    if not mains:
        raise EngineUnavailable("apt is configured with no archive to fetch engines from")
    if suite:
        archive = next((entry for entry in mains if entry[1] == codename), mains[0])
        mains = [[archive[0], suite, "main", archive[3]]]
    return "\n".join(_stanza(uri, name, _keyring(place, release["ID"])) for uri, name, _, place in mains)


def _stanza(uri: str, suite: str, keyring: str | None) -> str:
    signed = f"Signed-By: {keyring}\n" if keyring else ""
    return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed}"


def _keyring(place: str, distribution: str) -> str | None:
    """Finds the keyring that the machine's own entry names, else the distribution's, else leaves it to apt."""
    path, _, number = place.rpartition(":")
    text = Path(path).read_text()
    if path.endswith(".sources"):
        entry = re.split(r"\n\s*\n", text.strip())[int(number) - 1]
        named = re.search(r"^Signed-By:\s*(/\S+)", entry, re.MULTILINE | re.IGNORECASE)
    else:
        named = re.search(r"signed-by=(/[^\s\]]+)", text.splitlines()[int(number) - 1])
    usual = Path(f"/usr/share/keyrings/{distribution}-archive-keyring.gpg")
    return named[1] if named else str(usual) if usual.exists() else None


def _installed(besides: str) -> set[str]:
    """Lists the packages of this machine, without those of one product."""
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package}\n"],
        capture_output=True,
        text=True,
    )
    names = {line[3:].strip() for line in listing.stdout.splitlines() if line.startswith("ii")}
    return {name for name in names if not name.startswith(besides)}


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _complaint(output: str) -> str:
    """The first error of a program's output, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "W:"))]
    return (errors or lines or ["apt gave no reason"])[0]
