"""The alert rules and channels of one project, for commands: in the stores of this process, or at the running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

from spanhouse_server.clock import now_ns
from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.channels.contract import NoOutward, Outward
from spanhouse_server.derive.alerts.desk import AlertDesk, public_url_of
from spanhouse_server.derive.alerts.kinds import bind_kinds
from spanhouse_server.errors import FolderInUse, NotFound
from spanhouse_server.house import Stores, open_stores
from spanhouse_server.model.alerts import RuleProgress
from spanhouse_server.query.times import parse_time
from spanhouse_server.running_server import ask, running_at
from spanhouse_server.show.routes.alert_channels import channel_from, channel_item
from spanhouse_server.show.routes.alert_rules import back_test_reply, rule_from, rule_item
from spanhouse_server.show.schemas.alert_channels import ChannelInput
from spanhouse_server.show.schemas.alert_rules import RuleInput
from spanhouse_server.store.access import DEFAULT_PROJECT

Say = Callable[[str], None]
OutwardOf = Callable[[Settings], Outward]
"""Gives what seals secrets, for commands that find no server running."""


def no_outward(_: Settings) -> Outward:
    """Return what seals nothing."""
    return NoOutward()


class Book(Protocol):
    """The rules and channels of one project, here or at a server. Each call raises what the API refuses."""

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as the API shows them."""

    def create_rule(self, body: RuleInput) -> None:
        """Add a rule."""

    def update_rule(self, rule_id: str, body: RuleInput) -> None:
        """Replace a rule."""

    def delete_rule(self, rule_id: str) -> None:
        """Delete a rule."""

    def channels(self) -> list[dict[str, Any]]:
        """Return all channels as the API shows them."""

    def create_channel(self, body: ChannelInput) -> None:
        """Add a channel."""

    def update_channel(self, channel_id: str, body: ChannelInput) -> None:
        """Replace a channel."""

    def delete_channel(self, channel_id: str) -> None:
        """Delete a channel that no rule uses."""

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        """Run a rule over the past."""


@contextmanager
def open_book(
    settings: Settings, project: str, endpoint: str, say: Say, outward_of: OutwardOf = no_outward
) -> Iterator[Book]:
    """Give the book of the stores when they can be opened here, else of the server that has them open."""
    if endpoint:
        yield _There(settings, endpoint, project)
        return
    with ExitStack() as exits:
        try:
            stores = exits.enter_context(open_stores(settings))
        except FolderInUse as error:
            url = running_at(settings, error)
            say(f"{url} has the data folder open and does the work")
            yield _There(settings, url, project)
            return
        stores.columnar.migrate()
        yield _Here(settings, stores, project or DEFAULT_PROJECT, outward_of(settings))


class _Here:
    """What is in the stores of this process."""

    def __init__(self, settings: Settings, stores: Stores, project: str, outward: Outward) -> None:
        if stores.records.project(project) is None:
            raise NotFound(f"no project {project!r}", "create it first")
        bind_kinds(stores.records)
        self._records = stores.records.alerts
        self._project = project
        self._desk = AlertDesk(
            stores.columnar,
            stores.records.alerts,
            outward,
            settle_s=settings.alert_settle_s,
            public_url=public_url_of(settings),
        )

    def rules(self) -> list[dict[str, Any]]:
        progress, active = self._records.progress(self._project), self._records.active_alerts()
        return [
            rule_item(rule, progress.get(rule.id, RuleProgress()), active.get(rule.id, ()))
            for rule in self._records.rules(self._project)
        ]

    def create_rule(self, body: RuleInput) -> None:
        self._records.create_rule(self._desk.checked_rule(rule_from(self._project, "", body)))

    def update_rule(self, rule_id: str, body: RuleInput) -> None:
        self._records.update_rule(self._desk.checked_rule(rule_from(self._project, rule_id, body)))

    def delete_rule(self, rule_id: str) -> None:
        self._records.delete_rule(self._project, rule_id)

    def channels(self) -> list[dict[str, Any]]:
        return [channel_item(channel, None) for channel in self._records.channels(self._project)]

    def create_channel(self, body: ChannelInput) -> None:
        channel = channel_from(self._project, "", body)
        self._records.create_channel(self._desk.checked_channel(channel, body.secrets))

    def update_channel(self, channel_id: str, body: ChannelInput) -> None:
        before = self._records.channel(self._project, channel_id)
        channel = channel_from(self._project, before.id, body)
        self._records.update_channel(self._desk.checked_channel(channel, body.secrets, before))

    def delete_channel(self, channel_id: str) -> None:
        self._records.delete_channel(self._project, channel_id)

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        at_ns = now_ns()
        range_ns = parse_time(from_, at_ns, "--from"), parse_time(to, at_ns, "--to")
        return back_test_reply(self._desk.back_test(rule_from(self._project, "", body), *range_ns))


class _There:
    """What a running server has, through its API."""

    def __init__(self, settings: Settings, url: str, project: str) -> None:
        self._settings = settings
        self._root = f"{url.rstrip('/')}/api/v1/alerts"
        self._query = f"?{urlencode({'project': project})}" if project else ""

    def rules(self) -> list[dict[str, Any]]:
        return self._listed("rules")

    def create_rule(self, body: RuleInput) -> None:
        self._ask("rules", body.model_dump())

    def update_rule(self, rule_id: str, body: RuleInput) -> None:
        self._ask(f"rules/{rule_id}", body.model_dump(), "PUT")

    def delete_rule(self, rule_id: str) -> None:
        self._ask(f"rules/{rule_id}", None, "DELETE")

    def channels(self) -> list[dict[str, Any]]:
        return self._listed("channels")

    def create_channel(self, body: ChannelInput) -> None:
        self._ask("channels", body.model_dump())

    def update_channel(self, channel_id: str, body: ChannelInput) -> None:
        self._ask(f"channels/{channel_id}", body.model_dump(), "PUT")

    def delete_channel(self, channel_id: str) -> None:
        self._ask(f"channels/{channel_id}", None, "DELETE")

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        return self._ask("rules/backtest", {"rule": body.model_dump(), "from": from_, "to": to})

    def _listed(self, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(what, None)["items"]
        return found

    def _ask(self, path: str, body: dict[str, Any] | None, method: str = "") -> dict[str, Any]:
        return ask(self._settings, f"{self._root}/{path}{self._query}", body, method)
