"""Who is asking, and in which project: the dependencies of every handler."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from spanhouse_server.errors import Forbidden, Unauthenticated
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.logins import COOKIE


def secret_of(request: Request, context: ShowContext) -> str | None:
    """Return the key a request carries: bearer token, ``x-api-key``, or the login's cookie.

    Raises ``Unauthenticated`` for a login that has ended, so that the page can ask again.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    header = request.headers.get("x-api-key", "").strip()
    if header:
        return header
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    key = context.logins.key(cookie)
    if key is None and context.settings.keys_required:
        raise Unauthenticated("the login has ended", "log in again")
    return key


def project_of(
    request: Request,
    context: Context,
    project: Annotated[
        str | None, Query(max_length=200, description="Project id; without it the key's own, else `default`.")
    ] = None,
) -> str:
    """Return the project this request works in; raises what ``Access.project_for`` raises."""
    return context.access.project_for(secret_of(request, context), project or None)


def admin_of(request: Request, context: Context) -> None:
    """Let only those pass who may manage projects and keys."""
    secret = secret_of(request, context)
    if context.access.is_admin(secret):
        return
    context.access.project_for(secret, None)
    raise Forbidden("this needs the admin key", "use the key set as SPANHOUSE_ADMIN_KEY")


ProjectId = Annotated[str, Depends(project_of)]
Admin = Depends(admin_of)
