"""Projects and their keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from spanhouse_server.clock import rfc3339
from spanhouse_server.show.auth import Admin, ProjectId, secret_of
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.admin import (
    KeyCreated,
    KeyInput,
    KeyItem,
    KeyList,
    ProjectInput,
    ProjectItem,
    ProjectList,
)
from spanhouse_server.show.schemas.common import ErrorReply
from spanhouse_server.store.contract import ApiKey, Project

router = APIRouter(tags=["projects and keys"])


@router.get("/projects", operation_id="listProjects", response_model=ProjectList)
def get_projects(request: Request, context: Context) -> JsonReply:
    """List the projects that the caller may open: all for an admin, else the key's own."""
    secret = secret_of(request, context)
    found = context.records.projects()
    if not context.access.is_admin(secret):
        own = context.access.project_for(secret, None)
        found = [project for project in found if project.id == own]
    return JsonReply({"items": [_project(project) for project in found]})


@router.post(
    "/projects",
    operation_id="createProject",
    response_model=ProjectItem,
    status_code=201,
    responses={409: {"model": ErrorReply, "description": "The project exists already."}},
    dependencies=[Admin],
)
def post_project(context: Context, body: ProjectInput) -> JsonReply:
    """Create a project. Needs the admin key where keys are required."""
    project = context.records.create_project(body.name, body.retention_days)
    context.access.forget()
    return JsonReply(_project(project), 201)


@router.get("/keys", operation_id="listKeys", response_model=KeyList, dependencies=[Admin])
def get_keys(context: Context, project_id: ProjectId) -> JsonReply:
    """List the keys of a project, revoked ones included, without their secrets."""
    return JsonReply({"items": [_key(key) for key in context.records.keys(project_id)]})


@router.post("/keys", operation_id="createKey", response_model=KeyCreated, status_code=201, dependencies=[Admin])
def post_key(context: Context, project_id: ProjectId, body: KeyInput) -> JsonReply:
    """Create a key for a project; its secret is in this reply and never shown again."""
    key, secret = context.records.create_key(project_id, body.name)
    return JsonReply({**_key(key), "secret": secret}, 201)


@router.delete("/keys/{key_id}", operation_id="revokeKey", response_model=KeyItem, dependencies=[Admin])
def delete_key(context: Context, project_id: ProjectId, key_id: Annotated[str, Path(max_length=100)]) -> JsonReply:
    """Revoke a key; it stops working within seconds."""
    context.records.revoke_key(project_id, key_id)
    context.access.forget()
    revoked = next(key for key in context.records.keys(project_id) if key.id == key_id)
    return JsonReply(_key(revoked))


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "created_at": rfc3339(project.created_ns),
        "retention_days": project.retention_days,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project_id": key.project_id,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": rfc3339(key.created_ns),
        "revoked_at": rfc3339(key.revoked_ns) if key.revoked_ns is not None else None,
    }
