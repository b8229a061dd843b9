"""Settings as ``django-admin startproject`` makes them, as far as logging to a file needs them."""

import writing

SECRET_KEY = "of no use"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop.apps.ShopConfig"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # which tells the length, so that half an answer is known

LOGGING = {
    **writing.CONFIGURATION,
    "root": {"level": "INFO", "handlers": ["file"]},
    "loggers": {"django.server": {"level": "INFO", "handlers": ["file"], "propagate": False}},
}
