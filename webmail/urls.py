"""Every address of Postkasse. GET never changes anything; actions are nouns that take a selection by POST."""

from django.contrib import admin
from django.urls import include, path

from webmail.views import actions, compose, folders, health, history, mailbox, message, outbox, picture, search, stream

urlpatterns = [
    path("", mailbox.inbox, name="inbox"),
    path("unread/", mailbox.unread, name="unread"),
    path("starred/", mailbox.starred, name="starred"),
    path("check/", mailbox.check, name="check"),
    path("folders/", folders.manage, name="folders"),
    path("folders/creation/", folders.create, name="folder-creation"),
    path("folders/<int:pk>/", mailbox.folder, name="folder"),
    path("folders/<int:pk>/name/", folders.rename, name="folder-name"),
    path("folders/<int:pk>/subscription/", folders.subscription, name="folder-subscription"),
    path("folders/<int:pk>/emptying/", folders.empty, name="folder-emptying"),
    path("folders/<int:pk>/destruction/", folders.destroy, name="folder-destruction"),
    path("messages/keywords/", actions.keywords, name="messages-keywords"),
    path("messages/mailbox/", actions.move, name="messages-mailbox"),
    path("messages/copies/", actions.copy, name="messages-copies"),
    path("messages/destruction/", actions.destroy, name="messages-destruction"),
    path("messages/<int:pk>/", message.show, name="message"),
    path("messages/<int:pk>/body/", message.body, name="body"),
    path("messages/<int:pk>/pictures/", message.pictures, name="pictures"),
    path("messages/<int:pk>/parts/<str:part_id>/", message.part, name="part"),
    path("messages/<int:pk>/source/", message.source, name="source"),
    path("messages/<int:pk>/file/", message.download, name="message-file"),
    path("operations/", history.show, name="operations"),
    path("operations/<uuid:batch>/undo/", history.undo, name="undo"),
    path("operations/<int:pk>/told/", history.told, name="told"),
    path("compose/", compose.new, name="compose"),
    path("drafts/", compose.drafts, name="drafts"),
    path("drafts/<int:pk>/", compose.edit, name="draft"),
    path("drafts/<int:pk>/destruction/", compose.discard, name="draft-destruction"),
    path("drafts/<int:pk>/submission/", compose.send, name="draft-submission"),
    path("outbox/", outbox.show, name="outbox"),
    path("submissions/<int:pk>/cancellation/", outbox.cancel, name="submission-cancellation"),
    path("submissions/<int:pk>/retry/", outbox.retry, name="submission-retry"),
    path("submissions/<int:pk>/settlement/", outbox.settle, name="submission-settlement"),
    path("submissions/<int:pk>/dismissal/", outbox.dismiss, name="submission-dismissal"),
    path("search/", search.show, name="search"),
    path("events/", stream.events, name="events"),
    path("pictures/<str:token>/", picture.show, name="picture"),
    path("healthz", health.show, name="health"),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
]

handler404 = "webmail.views.trouble.not_found"
handler500 = "webmail.views.trouble.server_error"
