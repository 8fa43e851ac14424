"""Reserves stock with django-oscar: its StockRecord, and one of its order lines for each reservation.

`locked` takes the row lock that Oscar leaves to its caller; `shipped` does what Oscar's own way to an order does: it
asks whether the product may be bought, then allocates.
"""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import django

from benchmarks.peers.programs.answering import answer

# DJANGO_SETTINGS_MODULE names oscar_settings.
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import close_old_connections, transaction  # noqa: E402
from oscar.apps.catalogue.models import Product, ProductClass  # noqa: E402
from oscar.apps.order.models import Line, Order  # noqa: E402
from oscar.apps.partner.availability import StockRequired  # noqa: E402
from oscar.apps.partner.models import Partner, StockRecord  # noqa: E402

PRICE = Decimal("10.00")
ORDER = "holds"


def begin() -> None:
    """Makes the schema and what every stock and every line hangs on."""
    call_command("migrate", verbosity=0, interactive=False)
    Partner.objects.create(name="bench", code="bench")
    ProductClass.objects.create(name="bench", slug="bench", track_stock=True, requires_shipping=False)
    Order.objects.create(number=ORDER, total_incl_tax=PRICE, total_excl_tax=PRICE)


def stock(skus: list[str], quantity: int) -> None:
    """Makes products with a stock record each."""
    kind, partner = ProductClass.objects.get(slug="bench"), Partner.objects.get(code="bench")
    with transaction.atomic():
        for sku in skus:
            product = Product.objects.create(title=sku, upc=sku, product_class=kind)
            StockRecord.objects.create(
                product=product, partner=partner, partner_sku=sku, price=PRICE, num_in_stock=quantity
            )


def reserve(how: str, skus: list[str], callers: int, seconds: float, attempts: int) -> dict[str, object]:
    """Lets so many threads reserve one unit again and again."""
    records = StockRecord.objects.select_related("product__product_class", "partner")
    if how == "locked":
        records = records.select_for_update(of=("self",))
    order = Order.objects.get(number=ORDER)
    counts, failures, guard = Counter[str](), Counter[str](), threading.Lock()
    begin = time.perf_counter()
    until = begin + seconds

    def call(caller: int) -> None:
        told, wrong, turn = Counter[str](), Counter[str](), 0
        while turn < attempts if attempts else time.perf_counter() < until:
            sku = skus[(caller + turn * callers) % len(skus)]
            turn += 1
            try:
                told["accepted" if _one(records, order, sku) else "refused"] += 1
            except Exception as failure:
                wrong[f"{type(failure).__name__}: {failure}".splitlines()[0][:120]] += 1
            # As at the end of a request: the connection goes back to the pool.
            close_old_connections()
        with guard:
            counts.update(told)
            failures.update(wrong)

    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(call, range(callers)))
    return {
        "accepted": counts["accepted"],
        "refused": counts["refused"],
        "failures": failures,
        "seconds": time.perf_counter() - begin,
    }


def _one(records: Any, order: Order, sku: str) -> bool:
    with transaction.atomic():
        record = records.get(partner_sku=sku)
        permitted, _ = StockRequired(record.net_stock_level).is_purchase_permitted(1)
        if not permitted:
            return False
        record.allocate(1)
        Line.objects.create(
            order=order,
            partner=record.partner,
            partner_name=record.partner.name,
            partner_sku=sku,
            title=sku,
            upc=sku,
            product=record.product,
            stockrecord=record,
            quantity=1,
            num_allocated=1,
            line_price_incl_tax=PRICE,
            line_price_excl_tax=PRICE,
            line_price_before_discounts_incl_tax=PRICE,
            line_price_before_discounts_excl_tax=PRICE,
        )
    return True


if __name__ == "__main__":
    answer({"begin": begin, "stock": stock, "reserve": reserve})
