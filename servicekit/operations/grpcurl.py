"""How operators call a service from a shell: the commands that its diagnoses name."""

from dataclasses import dataclass

from servicekit.settings import ServerSettings


@dataclass(frozen=True)
class Grpcurl:
    """grpcurl with what it takes to reach one service."""

    options: str
    address: str

    def __call__(self, method: str, request: str = "", *, role: str = "") -> str:
        """The command that calls a method, by its full name, with a request in JSON, in a role if it asks for one."""
        actor = f" -H 'actor-role: {role}' -H 'actor-id: YOUR-NAME'" if role else ""
        asked = f" -d '{request}'" if request else ""
        return f"grpcurl {self.options}{actor}{asked} {self.address} {method}"


def grpcurl(settings: ServerSettings, address: str, admin_listen: str) -> Grpcurl:
    """`address` is what the runbook calls the service's own; `admin_listen` is where operators are served.

    With mTLS `$FOLDER` has the operator's certificate.
    """
    options = "-plaintext"
    if settings.tls_folder:
        options = f"-cacert {settings.tls_ca} -cert $FOLDER/tls.crt -key $FOLDER/tls.key"
    return Grpcurl(options, address if admin_listen == settings.listen else admin_listen)
