"""What the alert engine and the API may ask of the records store about alerts.

Every write is one transaction. Writes of the engine are refused (``False``) when someone else wrote in between:
the engine then looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from spanhouse_server.model.alerts import (
    Alert,
    AlertQuery,
    Channel,
    DeliveryCounts,
    Fired,
    Group,
    Inhibition,
    Member,
    Notification,
    Rule,
    RuleProgress,
    Silence,
    Transition,
)


class AlertRecords(Protocol):
    """Rules, channels, silences, alerts and the outbox of notifications. Thread-safe."""

    def rules(self, project_id: str | None = None) -> list[Rule]:
        """Return the rules of a project, or of all, by name."""

    def rule(self, project_id: str, rule_id: str) -> Rule:
        """Return one rule. Raises ``NotFound``."""

    def create_rule(self, rule: Rule) -> Rule:
        """Keep a checked rule; id and times are set here. Raises ``Conflict`` (name), ``NotFound``, ``BadRequest``."""

    def update_rule(self, rule: Rule) -> Rule:
        """Replace a rule by its id. Raises ``NotFound``, ``Conflict``, ``BadRequest`` (unknown channel)."""

    def delete_rule(self, project_id: str, rule_id: str) -> Rule:
        """Remove a rule; the engine ends its alerts. Raises ``NotFound``."""

    def progress(self, project_id: str | None = None) -> dict[str, RuleProgress]:
        """Return how far each rule was evaluated, by rule id."""

    def channels(self, project_id: str | None = None) -> list[Channel]:
        """Return the channels of a project, or of all, by name."""

    def channel(self, project_id: str, channel_id: str) -> Channel:
        """Return one channel. Raises ``NotFound``."""

    def create_channel(self, channel: Channel) -> Channel:
        """Keep a checked channel under the id it has. Raises ``Conflict`` (name), ``NotFound``, ``BadRequest``."""

    def update_channel(self, channel: Channel) -> Channel:
        """Replace a channel by its id. Raises ``NotFound``, ``Conflict``."""

    def delete_channel(self, project_id: str, channel_id: str) -> Channel:
        """Remove a channel with all it was still to be told. Raises ``NotFound``, ``Conflict`` while rules use it."""

    def deliveries(self, project_id: str) -> dict[str, DeliveryCounts]:
        """Return what became of notifications, by channel id."""

    def silences(self, project_id: str, ended_after_ns: int = 0) -> list[Silence]:
        """Return silences that end after a moment, the newest first."""

    def create_silence(self, silence: Silence) -> Silence:
        """Keep a checked silence; its id is set here. Raises ``NotFound``, ``BadRequest`` (too many)."""

    def end_silence(self, project_id: str, silence_id: str, at_ns: int) -> Silence:
        """End a silence at a moment; one that has not begun never does. Raises ``NotFound``."""

    def inhibitions(self, project_id: str) -> tuple[Inhibition, ...]:
        """Return the inhibitions of a project, the default ones where it set none."""

    def put_inhibitions(self, project_id: str, inhibitions: Sequence[Inhibition], known: str | None = None) -> None:
        """Set the inhibitions of a project.

        Raises ``Conflict`` when ``known`` (``model.alerts.version_of``) is not the version of those in force.
        """

    def alerts(self, project_id: str, query: AlertQuery) -> list[Alert]:
        """Return a page of alerts, those that began last first."""

    def fired_between(self, project_id: str, from_s: int, to_s: int, limit: int) -> list[Fired]:
        """Return alerts that were firing at some time in a range, those that fired last first."""

    def alert(self, project_id: str, alert_id: str) -> tuple[Alert, list[Transition]]:
        """Return an alert with its transitions, the oldest first. Raises ``NotFound``."""

    def active_alerts(self) -> dict[str, list[Alert]]:
        """Return the pending and firing alerts of all projects by rule id, also of rules that are gone."""

    def commit(
        self,
        rule: Rule,
        before_s: int | None,
        progress: RuleProgress,
        alerts: Sequence[Alert],
        transitions: Sequence[Transition],
        now_ns: int,
    ) -> bool:
        """Write what an evaluation made of a rule's alerts, and mark the groups that must hear of it.

        ``before_s`` is how far the rule had been evaluated. Returns whether it was written: not when the rule
        was evaluated or changed meanwhile. With the same transaction every firing alert is in the groups of the
        rule's channels, so that nothing that fired can stay untold.
        """

    def failed(self, rule: Rule, error: str, now_ns: int) -> None:
        """Note why a rule could not be evaluated; how far it was evaluated stays."""

    def close_alerts(self, alerts: Sequence[Alert], transitions: Sequence[Transition], now_ns: int) -> None:
        """Write the end of alerts whose rule is gone, off or about something else now."""

    def groups_due(self, channel_ids: Sequence[str], now_ns: int, limit: int, everything: bool = False) -> list[Group]:
        """Return groups of some channels to look at, with their members; ``everything``: whenever they are due."""

    def settle_group(
        self,
        group: Group,
        members: Sequence[Member],
        due_ns: int | None,
        notified_ns: int | None,
        notification: Notification | None,
    ) -> bool:
        """Write the outcome of a look at a group: its members, when it is due (``None``: it is gone), a message.

        Returns whether it was written: not when the group was touched since it was read.
        """

    def channels_waiting(self, now_ns: int, everything: bool = False) -> list[str]:
        """Return the channels with messages to send now; ``everything``: whenever their next try is due."""

    def notifications_due(
        self, channel_id: str, now_ns: int, limit: int, everything: bool = False
    ) -> list[Notification]:
        """Return a channel's messages to send now, of each group at most its oldest waiting one, the oldest first."""

    def tried(self, notification: Notification) -> bool:
        """Write what became of an attempt (``attempts`` counts it); not when another process wrote meanwhile."""

    def notifications(self, project_id: str, channel_id: str, limit: int) -> list[Notification]:
        """Return a channel's newest messages."""

    def prune(self, before_ns: int) -> int:
        """Forget alerts, messages and silences that ended before a moment; return how many alerts."""

    def counts(self) -> Mapping[str, int]:
        """Return how many alerts there are by state, and ``waiting`` messages, for the metrics."""
