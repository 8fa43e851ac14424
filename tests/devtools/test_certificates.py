"""`make certs`: a set that both services take, for everybody whom their files of callers name."""

import stat
from pathlib import Path

from devtools.certificates import certs
from servicekit.access.certificates import Certificates


def test_the_set_has_each_service_and_each_caller(tmp_path: Path) -> None:
    assert certs(tmp_path) == 0

    names = {file.parent.name for file in tmp_path.glob("*/tls.crt")}
    assert names == {"inventory", "delivery", "operator", "shop", "orders", "driver-app", "warehouse-app"}
    for name in names:
        owner = Certificates(tmp_path / name, tmp_path / "ca.crt").current().owner
        assert str(owner) == f"spiffe://holdfast.test/{name}"
        assert stat.S_IMODE((tmp_path / name / "tls.key").stat().st_mode) == 0o600
    assert len(list(tmp_path.rglob("*.key"))) == len(names)


def test_another_set_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    certs(tmp_path)
    certificates = Certificates(tmp_path / "inventory", tmp_path / "ca.crt")
    first = certificates.current()

    certs(tmp_path)

    assert certificates.current() is not first
