"""Login of the web page, and who is asking."""

from __future__ import annotations

from fastapi import APIRouter, Request

from spanhouse_server.errors import Unauthenticated
from spanhouse_server.show.auth import secret_of
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.logins import COOKIE, IDLE_S
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.admin import LoginInput, Me
from spanhouse_server.show.schemas.common import Done

router = APIRouter(tags=["login"])


@router.post("/login", operation_id="login", response_model=Me)
def login(request: Request, context: Context, body: LoginInput) -> JsonReply:
    """Exchange a key for a cookie that only this server's page can use."""
    who = _me(context, body.key)
    if not who["authenticated"]:
        raise Unauthenticated("the key is unknown or revoked", "use the admin key or a project's key")
    reply = JsonReply(who)
    reply.set_cookie(
        COOKIE,
        context.logins.open(body.key),
        max_age=IDLE_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return reply


@router.post("/logout", operation_id="logout", response_model=Done)
def logout(request: Request, context: Context) -> JsonReply:
    """End the login of this browser."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        context.logins.close(cookie)
    reply = JsonReply({"ok": True})
    reply.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return reply


@router.get("/me", operation_id="getMe", response_model=Me)
def me(request: Request, context: Context) -> JsonReply:
    """Tell who the caller is; without a valid key or login `authenticated` is false."""
    try:
        secret = secret_of(request, context)
    except Unauthenticated:
        return JsonReply(_nobody(context))
    return JsonReply(_me(context, secret))


def _me(context: ShowContext, secret: str | None) -> dict[str, object]:
    if context.access.is_admin(secret):
        return {**_nobody(context), "authenticated": True, "admin": True}
    try:
        project_id = context.access.project_for(secret, None)
    except Unauthenticated:
        return _nobody(context)
    return {**_nobody(context), "authenticated": True, "project_id": project_id}


def _nobody(context: ShowContext) -> dict[str, object]:
    return {
        "authenticated": False,
        "admin": False,
        "project_id": None,
        "keys_required": context.settings.keys_required,
    }
