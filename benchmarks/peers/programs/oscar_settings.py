"""A Django project with django-oscar's own applications, without its pages: what an order needs, and no more."""

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
        "OPTIONS": {"pool": {"min_size": 1, "max_size": int(os.environ["HOLDFAST_PEER_POOL"]), "timeout": 60}},
    }
}
_SHOP = (
    "analytics",
    "checkout",
    "address",
    "shipping",
    "catalogue",
    "communication",
    "partner",
    "basket",
    "payment",
    "offer",
    "order",
    "customer",
    "search",
    "voucher",
    "wishlists",
)
INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "sites", "flatpages")),
    "oscar.config.Shop",
    *(f"oscar.apps.{name}.apps.{name.title()}Config" for name in _SHOP),
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "haystack",
    "treebeard",
    "django_tables2",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
