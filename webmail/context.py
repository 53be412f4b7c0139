"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def sprite(request: HttpRequest) -> dict[str, Any]:
    return {"sprite_url": static("img/sprite.svg")}
