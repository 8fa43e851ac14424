"""Etags of stocks, as the model knows them beforehand and as the service gives them out."""

from typing import Any

from holdfast.inventory.v1 import stock_pb2


class Etags:
    """Between the etags of stocks and those of the model: of the n-th stock of a sku, its m-th is "nvm"."""

    def __init__(self) -> None:
        self._first: dict[str, list[int]] = {}
        self._sent: dict[tuple[str, str], str] = {}

    def seen(self, stock: stock_pb2.Stock) -> str:
        """The model's etag of a stock, whose first one is named by the microsecond of its birth."""
        lives = self._first.setdefault(stock.sku, [])
        first = stock.create_time.ToMicroseconds()
        if first not in lives:
            lives.append(first)
        return f"{lives.index(first) + 1}v{int(stock.etag[1:]) - first + 1}"

    def sent(self, request: Any) -> Any:
        """The request with the service's etag; the same again for a request that is sent again."""
        if not hasattr(request, "sku") or not getattr(request, "etag", ""):
            return request
        life, version = map(int, request.etag.split("v"))
        lives = self._first.get(request.sku, [])
        etag = f"v{lives[life - 1] + version - 1}" if 0 < life <= len(lives) else "v1"
        sent = type(request)()
        sent.CopyFrom(request)
        sent.etag = self._sent.setdefault((request.request_id, request.sku), etag)
        return sent
