"""Channels of notifications."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from spanhouse_server.clock import rfc3339
from spanhouse_server.model.alerts import Channel, DeliveryCounts, Notification
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.routes.alert_rules import TAKEN, desk_of
from spanhouse_server.show.routes.alerts import ItemId
from spanhouse_server.show.schemas.alert_channels import (
    ChannelInput,
    ChannelItem,
    ChannelList,
    ChannelTest,
    NotificationList,
)

router = APIRouter(tags=["alerts"])
PATH = "/alerts/channels"
ONE = "/alerts/channels/{channel_id}"


@router.get(PATH, operation_id="listAlertChannels", response_model=ChannelList)
def get_channels(context: Context, project_id: ProjectId) -> JsonReply:
    """List the channels with what became of their messages."""
    records = context.records.alerts
    counts = records.deliveries(project_id)
    return JsonReply({"items": [channel_item(each, counts.get(each.id)) for each in records.channels(project_id)]})


@router.post(
    PATH,
    operation_id="createAlertChannel",
    response_model=ChannelItem,
    status_code=201,
    dependencies=[Admin],
    responses=TAKEN,
)
def post_channel(context: Context, project_id: ProjectId, body: ChannelInput) -> JsonReply:
    """Add a channel; `POST …/test` tries it."""
    channel = desk_of(context).checked_channel(channel_from(project_id, "", body), body.secrets)
    return JsonReply(channel_item(context.records.alerts.create_channel(channel), None), 201)


@router.get(ONE, operation_id="getAlertChannel", response_model=ChannelItem)
def get_channel(context: Context, project_id: ProjectId, channel_id: ItemId) -> JsonReply:
    """Give a channel with what became of its messages."""
    records = context.records.alerts
    channel = records.channel(project_id, channel_id)
    return JsonReply(channel_item(channel, records.deliveries(project_id).get(channel.id)))


@router.put(ONE, operation_id="updateAlertChannel", response_model=ChannelItem, dependencies=[Admin], responses=TAKEN)
def put_channel(context: Context, project_id: ProjectId, channel_id: ItemId, body: ChannelInput) -> JsonReply:
    """Replace a channel. Secrets that are left out stay, unless it sends elsewhere now."""
    records = context.records.alerts
    before = records.channel(project_id, channel_id)
    channel = desk_of(context).checked_channel(channel_from(project_id, before.id, body), body.secrets, before)
    return JsonReply(channel_item(records.update_channel(channel), records.deliveries(project_id).get(before.id)))


@router.delete(
    ONE, operation_id="deleteAlertChannel", response_model=ChannelItem, dependencies=[Admin], responses=TAKEN
)
def delete_channel(context: Context, project_id: ProjectId, channel_id: ItemId) -> JsonReply:
    """Delete a channel that no rule uses, and return it. What it was still to be told is dropped."""
    return JsonReply(channel_item(context.records.alerts.delete_channel(project_id, channel_id), None))


@router.post(ONE + "/test", operation_id="testAlertChannel", response_model=ChannelTest, dependencies=[Admin])
def post_test(context: Context, project_id: ProjectId, channel_id: ItemId) -> JsonReply:
    """Send a test message at once and tell how that went."""
    trial = desk_of(context).try_channel(context.records.alerts.channel(project_id, channel_id))
    return JsonReply({"delivered": trial.delivered, "error": trial.error, "took_ms": trial.took_ms})


@router.get(ONE + "/notifications", operation_id="listNotifications", response_model=NotificationList)
def get_notifications(
    context: Context,
    project_id: ProjectId,
    channel_id: ItemId,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JsonReply:
    """List a channel's newest messages and what became of them."""
    records = context.records.alerts
    channel = records.channel(project_id, channel_id)
    return JsonReply({"items": [_notification(each) for each in records.notifications(project_id, channel.id, limit)]})


def channel_from(project_id: str, channel_id: str, body: ChannelInput) -> Channel:
    """Return a channel as given, without its secrets; it is not checked yet."""
    given = body.model_dump(exclude={"secrets"}) | {"group_by": tuple(body.group_by)}
    return Channel(id=channel_id, project_id=project_id, **given)


def channel_item(channel: Channel, counts: DeliveryCounts | None) -> dict[str, Any]:
    """Return a channel as shown: of each secret only that it is set."""
    counts = counts or DeliveryCounts()
    return {
        "id": channel.id,
        "name": channel.name,
        "type": channel.type,
        "options": dict(channel.options),
        "secrets": dict.fromkeys(channel.secrets_set, "set"),
        "target": channel.target,
        "group_by": list(channel.group_by),
        "group_wait_s": channel.group_wait_s,
        "group_interval_s": channel.group_interval_s,
        "repeat_interval_s": channel.repeat_interval_s,
        "send_resolved": channel.send_resolved,
        "enabled": channel.enabled,
        "managed_by": channel.managed_by,
        "created_at": rfc3339(channel.created_ns),
        "updated_at": rfc3339(channel.updated_ns),
        "deliveries": {
            "waiting": counts.waiting,
            "delivered": counts.delivered,
            "failed": counts.failed,
            "last_delivered_at": _time(counts.last_delivered_ns),
            "last_error": counts.last_error,
            "last_error_at": _time(counts.last_error_ns),
        },
    }


def _notification(each: Notification) -> dict[str, Any]:
    return {
        "id": each.id,
        "state": each.state,
        "status": each.payload.get("status", ""),
        "alerts": len(each.payload.get("alerts", ())),
        "repeat": bool(each.payload.get("repeat")),
        "created_at": rfc3339(each.created_ns),
        "attempts": each.attempts,
        "next_try_at": _time(each.next_try_ns) if each.state == "waiting" else None,
        "ended_at": _time(each.ended_ns),
        "error": each.error,
    }


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None else rfc3339(at_ns)
