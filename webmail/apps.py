from django.apps import AppConfig


class WebmailConfig(AppConfig):
    name = "webmail"
    verbose_name = "Webmail"

    def ready(self) -> None:
        """Tie the layers: accounts stand below webmail and are told here what it does with them. The tasks are loaded
        with the Celery app and its broker settings, because pages publish them too."""
        from accounts import views as accounts_views
        from webmail import celery, tasks  # noqa: F401
        from webmail.views import navigation
        from webmail.welcome import farewell, holdings, welcome

        accounts_views.on_account(welcome, farewell, holdings)
        accounts_views.on_page(navigation.context)
