"""The types of channels there are, one line each."""

from __future__ import annotations

from collections.abc import Mapping

from spanhouse_server.derive.alerts.channels.alertmanager import Alertmanager
from spanhouse_server.derive.alerts.channels.contract import ChannelType
from spanhouse_server.derive.alerts.channels.email import Email
from spanhouse_server.derive.alerts.channels.pagerduty import PagerDuty
from spanhouse_server.derive.alerts.channels.slack import Slack
from spanhouse_server.derive.alerts.channels.webhook import Webhook

_ALL: tuple[ChannelType, ...] = (
    Webhook(),
    Slack(),
    Email(),
    Alertmanager(),
    PagerDuty(),
)
CHANNELS: Mapping[str, ChannelType] = {each.name: each for each in _ALL}
