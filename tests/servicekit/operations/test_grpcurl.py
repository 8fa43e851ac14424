"""The commands that diagnoses name reach the service as it is served."""

from servicekit.operations.grpcurl import grpcurl
from servicekit.settings import ServerSettings

LIST = "holdfast.ops.v1.OpsService/ListOutbox"
OPERATORS = "127.0.0.1:7422"


def command(admin_listen: str, tls_folder: str = "", tls_ca: str = "") -> str:
    settings = ServerSettings(listen="0.0.0.0:7412", tls_folder=tls_folder, tls_ca=tls_ca)
    return grpcurl(settings, "$DELIVERY_ADDRESS", admin_listen)(LIST, '{"page_size": 5}')


def test_beside_the_others_it_is_the_address_that_the_runbook_names() -> None:
    assert command("0.0.0.0:7412") == f"grpcurl -plaintext -d '{{\"page_size\": 5}}' $DELIVERY_ADDRESS {LIST}"


def test_who_has_to_say_who_it_is_does() -> None:
    settings = ServerSettings(listen="127.0.0.1:7412")

    assert grpcurl(settings, "$DELIVERY_ADDRESS", settings.listen)(LIST, role="dispatcher") == (
        f"grpcurl -plaintext -H 'actor-role: dispatcher' -H 'actor-id: YOUR-NAME' $DELIVERY_ADDRESS {LIST}"
    )


def test_else_it_is_the_one_for_operators_and_with_mtls_their_certificate_is_shown() -> None:
    assert command(OPERATORS) == f"grpcurl -plaintext -d '{{\"page_size\": 5}}' {OPERATORS} {LIST}"
    assert command(OPERATORS, "/tls/delivery", "/tls/ca.crt") == (
        "grpcurl -cacert /tls/ca.crt -cert $FOLDER/tls.crt -key $FOLDER/tls.key"
        f" -d '{{\"page_size\": 5}}' {OPERATORS} {LIST}"
    )
