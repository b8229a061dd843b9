"""The settings of ``django-admin startproject`` that logging to a file needs."""

import writing

SECRET_KEY = "not used"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop.apps.ShopConfig"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # sets Content-Length: clients detect incomplete responses

LOGGING = {
    **writing.CONFIGURATION,
    "root": {"level": "INFO", "handlers": ["file"]},
    "loggers": {"django.server": {"level": "INFO", "handlers": ["file"], "propagate": False}},
}
