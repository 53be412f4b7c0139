"""Addresses of signing in and of settings."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("settings/", views.preferences, name="settings"),
    path("settings/accounts/creation/", views.create_account, name="account-creation"),
    path("settings/accounts/<int:pk>/", views.account, name="account"),
    path("settings/accounts/<int:pk>/destruction/", views.remove_account, name="account-destruction"),
    path("settings/accounts/<int:pk>/identities/creation/", views.create_identity, name="identity-creation"),
    path("settings/identities/<int:pk>/", views.identity, name="identity"),
    path("settings/identities/<int:pk>/destruction/", views.remove_identity, name="identity-destruction"),
]
