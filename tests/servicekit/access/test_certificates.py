from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtensionOID
from structlog.testing import capture_logs

from servicekit.access.certificates import Certificates, CertificatesInvalid
from servicekit.access.identities import Identity, identity
from tests.support.wallet import Wallet


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    return Wallet(tmp_path)


def problem(folder: Path, ca: Path) -> str:
    with pytest.raises(CertificatesInvalid) as refused:
        Certificates(folder, ca)
    return str(refused.value)


def test_a_certificate_says_whose_it_is(wallet: Wallet) -> None:
    assert wallet.pems("shop").owner == Identity("holdfast.test", "shop")


def test_every_file_that_is_missing_is_named(wallet: Wallet) -> None:
    told = problem(wallet.folder / "nobody", wallet.folder / "no.crt")

    assert all(name in told for name in ("tls.crt cannot be read", "tls.key cannot be read", "no.crt cannot"))


def test_everything_that_is_wrong_with_the_files_is_named_and_nothing_quoted(wallet: Wallet) -> None:
    folder = wallet.issue("shop")
    for file in (folder / "tls.crt", folder / "tls.key", wallet.ca):
        file.write_text("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n")

    told = problem(folder, wallet.ca)

    assert told.count("holds no") == 3
    assert "canary" not in told


def test_a_key_of_another_certificate_is_refused(wallet: Wallet) -> None:
    (wallet.issue("driver") / "tls.key").replace(wallet.issue("shop") / "tls.key")

    assert "tls.key is not the key of" in problem(wallet.folder / "shop", wallet.ca)


@pytest.mark.parametrize(
    "names", [b"nonsense", b"\x30\x04\xa3\x02\x30\x00"], ids=["nonsense", "an X.400 address"]
)
def test_names_that_the_library_does_not_understand_are_no_identity(wallet: Wallet, names: bytes) -> None:
    folder = wallet.issue("shop")
    private = load_pem_private_key((folder / "tls.key").read_bytes(), password=None)
    assert isinstance(private, EllipticCurvePrivateKey)
    issued = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    odd = (
        x509.CertificateBuilder()
        .issuer_name(issued.issuer)
        .subject_name(issued.subject)
        .public_key(issued.public_key())
        .serial_number(1)
        .not_valid_before(issued.not_valid_before_utc)
        .not_valid_after(issued.not_valid_after_utc)
        .add_extension(
            x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, names), critical=True
        )
        .sign(private, SHA256())
    )
    (folder / "tls.crt").write_bytes(odd.public_bytes(Encoding.PEM))

    assert "needs one URI" in problem(folder, wallet.ca)


def test_a_key_is_parsed_again_only_when_files_changed(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = wallet.certificates("shop")
    monkeypatch.delattr("servicekit.access.certificates.load_pem_private_key")

    certificates.current()
    wallet.issue("shop")
    with pytest.raises(NameError):
        certificates.current()


def test_a_certificate_whose_time_ends_in_use_is_warned_of(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = wallet.certificates("shop")
    later = certificates.current().until + timedelta(seconds=1)
    monkeypatch.setattr("servicekit.access.certificates.datetime", Mock(now=lambda zone: later))

    with capture_logs() as logs:
        certificates.current()
    assert "is valid from" in logs[0]["reason"]


def test_a_certificate_whose_time_is_over_is_refused(wallet: Wallet) -> None:
    wallet.issue("shop", days=-1)

    assert "is valid from" in problem(wallet.folder / "shop", wallet.ca)


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["spiffe://holdfast.test/shop", "spiffe://holdfast.test/operator"],
        ["urn:holdfast.test:shop"],
        ["spiffe://holdfast.test"],
        ["spiffe://holdfast.test/"],
        ["spiffe://holdfast.test/shop/"],
        ["spiffe://holdfast.test/shop/../operator"],
        ["spiffe://holdfast.test/shop?operator"],
        ["spiffe://holdfast.test/system:1"],
        ["spiffe://holdfast.test/" + "x" * 101],
    ],
)
def test_what_could_be_somebody_else_names_nobody(uris: list[str]) -> None:
    assert identity(uris) is None


def test_a_name_may_have_several_parts() -> None:
    assert identity(["spiffe://a.example/shop/checkout"]) == Identity("a.example", "shop/checkout")


def test_new_files_are_taken_up_and_the_same_ones_are_the_same_object(wallet: Wallet) -> None:
    certificates = wallet.certificates("shop")
    first = certificates.current()
    assert certificates.current() is first

    wallet.issue("shop")

    second = certificates.current()
    assert second.certificate != first.certificate
    assert certificates.current() is second


def test_files_that_do_not_fit_leave_the_old_ones_in_use_and_are_warned_of_once(wallet: Wallet) -> None:
    certificates = wallet.certificates("shop")
    first = certificates.current()
    (wallet.folder / "shop" / "tls.crt").write_text("half a fi")

    with capture_logs() as logs:
        assert certificates.current() is first
        assert certificates.current() is first
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "tls.crt holds no certificate" in logs[0]["reason"]

    wallet.issue("shop")
    assert certificates.current() is not first
