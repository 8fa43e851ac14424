"""A Django project with django-oscar's own applications, as its documentation lists them, and none of its pages."""

import os

from oscar.defaults import *  # noqa: F403

SECRET_KEY = "measured on a database that is thrown away"
USE_TZ = True
SITE_ID = 1
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["HOLDFAST_PEER_HOST"],
        "USER": os.environ["HOLDFAST_PEER_USER"],
        "NAME": os.environ["HOLDFAST_PEER_DATABASE"],
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": int(os.environ["HOLDFAST_PEER_POOL"]), "timeout": 60}
        },
    }
}
_SHOP = (
    *(
        "analytics",
        "checkout",
        "address",
        "shipping",
        "catalogue",
        "communication",
        "partner",
        "basket",
        "payment",
    ),
    *("offer", "order", "customer", "search", "voucher", "wishlists", "dashboard"),
)
_DASHBOARD = (
    *(
        "reports",
        "users",
        "orders",
        "catalogue",
        "offers",
        "partners",
        "pages",
        "ranges",
        "reviews",
        "vouchers",
    ),
    *("communications", "shipping"),
)
INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "sites", "flatpages")),
    "oscar.config.Shop",
    *(f"oscar.apps.{name}.apps.{name.title()}Config" for name in _SHOP),
    *(f"oscar.apps.dashboard.{name}.apps.{name.title()}DashboardConfig" for name in _DASHBOARD),
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "haystack",
    "treebeard",
    "django_tables2",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
