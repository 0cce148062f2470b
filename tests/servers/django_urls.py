"""Where things are at django_server.py: as the manual of django-oauth-toolkit mounts them, and a login before it."""

from django.contrib.auth.views import LoginView
from django.urls import include, path
from oauth2_provider import urls

urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("", include((urls.metadata_urlpatterns, "metadata"))),
    path("login/", LoginView.as_view()),
]
