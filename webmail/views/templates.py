"""Texts that a person writes again and again."""

from __future__ import annotations

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import Request
from webmail.models import Template
from webmail.views import navigation
from webmail.views.composer import own
from webmail.views.listing import number
from webmail.views.redirection import SeeOther, notice

MAX_TEMPLATES = 500  # of one person


class TemplateForm(forms.ModelForm):
    class Meta:
        model = Template
        fields = ["name", "subject", "text"]
        widgets = {"subject": forms.TextInput()}

    def clean_subject(self) -> str:
        return " ".join(self.cleaned_data["subject"].split())


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    context = {**navigation.context(request, "templates"), "templates": Template.objects.filter(user=request.user)}
    return render(request, "webmail/templates.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create(request: Request) -> HttpResponse:
    """Empty, or from what is being written: ``?draft=7``."""
    fresh = Template(user=request.user)
    if request.GET.get("draft"):
        draft = own(request, number(request.GET["draft"]))
        fresh.name, fresh.subject, fresh.text, fresh.html = draft.subject[:120], draft.subject, draft.text, draft.html
    return _form(request, fresh)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def edit(request: Request, pk: int) -> HttpResponse:
    return _form(request, get_object_or_404(Template, user=request.user, pk=pk))


def _form(request: Request, template: Template) -> HttpResponse:
    text = template.text
    form = TemplateForm(request.POST or None, instance=template)
    if request.method == "POST" and form.is_valid():
        if not template.pk and Template.objects.filter(user=request.user).count() >= MAX_TEMPLATES:
            form.add_error("name", _("There are too many templates. Delete some first."))
        else:
            if template.text != text:
                template.html = ""  # it was changed as plain text
            form.save()
            notice(request, _("Template saved."))
            return SeeOther(reverse("templates"))
    context = {**navigation.context(request, "templates"), "form": form, "template": template}
    return render(request, "webmail/template_form.html", context, status=422 if form.errors else 200)


@require_POST
@login_required
def destroy(request: Request, pk: int) -> HttpResponse:
    get_object_or_404(Template, user=request.user, pk=pk).delete()
    notice(request, _("Template deleted."))
    return SeeOther(reverse("templates"))
