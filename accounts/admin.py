from django.contrib import admin

from accounts.models import Account, Identity, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ["address", "is_active", "is_staff", "last_login"]
    search_fields = ["address"]
    fields = ["handle", "address", "is_active", "is_staff", "is_superuser", "language", "theme", "time_zone"]


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    """What an operator may see of an account: never the credentials."""

    list_display = ["address", "user", "incoming", "synced_at", "trouble"]
    search_fields = ["address", "user__address"]
    fields = ["user", "address", "name", "incoming", "outgoing", "username", "synced_at", "trouble", "trouble_detail"]
    readonly_fields = (
        "user",
        "address",
        "name",
        "incoming",
        "outgoing",
        "username",
        "synced_at",
        "trouble",
        "trouble_detail",
    )


@admin.register(Identity)
class IdentityAdmin(admin.ModelAdmin):
    list_display = ["address", "name", "account"]
