"""Who is told to end, by ^C or otherwise, leaves no server behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from devtools.environment import ROOT


@pytest.mark.parametrize("command", ["devtools chaos", "chaos"])
def test_a_campaign_that_is_terminated_puts_its_server_away(command: str) -> None:
    # The server may have to run under another account, which the folders of tests keep out.
    with TemporaryDirectory(prefix="hf-test-chaos-", dir="/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        environment = {**os.environ, "HOLDFAST_BENCH_FOLDER": folder}
        environment.pop("HOLDFAST_BENCH_POSTGRES_URL", None)
        with subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--campaign", "1"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as campaign:
            assert campaign.stdout is not None
            assert any("fsync on" in line for line in campaign.stdout)
            assert list(place.iterdir())

            campaign.send_signal(signal.SIGTERM)

            assert campaign.wait(60) == 130
            assert list(place.iterdir()) == []
