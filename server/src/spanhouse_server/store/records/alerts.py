"""Everything about alerts in the records store; each call is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import Conflict
from spanhouse_server.model import alerts as model
from spanhouse_server.store.records import alert_config as config
from spanhouse_server.store.records import alert_outbox as outbox
from spanhouse_server.store.records import alert_state as state

Sessions = Callable[[], AbstractContextManager[Session]]


class SqlAlerts:
    """``AlertRecords`` on SQLAlchemy."""

    def __init__(self, reading: Sessions, writing: Sessions) -> None:
        self._reading = reading
        self._write = writing

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """Give a transaction; two that make the same thing at once are a ``Conflict``."""
        try:
            with self._write() as session:
                yield session
        except IntegrityError:
            raise Conflict("someone else changed the same thing at this moment", "try again") from None

    def rules(self, project_id: str | None = None) -> list[model.Rule]:
        """Return the rules of a project, or of all, by name."""
        with self._reading() as session:
            return config.list_rules(session, project_id)

    def rule(self, project_id: str, rule_id: str) -> model.Rule:
        """Return one rule. Raises ``NotFound``."""
        with self._reading() as session:
            return config.read_rule(session, project_id, rule_id)

    def create_rule(self, rule: model.Rule) -> model.Rule:
        """Keep a checked rule. Raises ``Conflict``, ``NotFound``, ``BadRequest``."""
        with self._writing() as session:
            return config.add_rule(session, rule)

    def update_rule(self, rule: model.Rule) -> model.Rule:
        """Replace a rule by its id. Raises ``NotFound``, ``Conflict``, ``BadRequest``."""
        with self._writing() as session:
            return config.change_rule(session, rule)

    def delete_rule(self, project_id: str, rule_id: str) -> model.Rule:
        """Remove a rule. Raises ``NotFound``."""
        with self._writing() as session:
            return config.remove_rule(session, project_id, rule_id)

    def progress(self, project_id: str | None = None) -> dict[str, model.RuleProgress]:
        """Return how far each rule was evaluated, by rule id."""
        with self._reading() as session:
            return config.read_progress(session, project_id)

    def channels(self, project_id: str | None = None) -> list[model.Channel]:
        """Return the channels of a project, or of all, by name."""
        with self._reading() as session:
            return config.list_channels(session, project_id)

    def channel(self, project_id: str, channel_id: str) -> model.Channel:
        """Return one channel. Raises ``NotFound``."""
        with self._reading() as session:
            return config.read_channel(session, project_id, channel_id)

    def create_channel(self, channel: model.Channel) -> model.Channel:
        """Keep a checked channel. Raises ``Conflict``, ``NotFound``, ``BadRequest``."""
        with self._writing() as session:
            return config.add_channel(session, channel)

    def update_channel(self, channel: model.Channel) -> model.Channel:
        """Replace a channel by its id. Raises ``NotFound``, ``Conflict``."""
        with self._writing() as session:
            return config.change_channel(session, channel)

    def delete_channel(self, project_id: str, channel_id: str) -> model.Channel:
        """Remove a channel. Raises ``NotFound``, ``Conflict``."""
        with self._writing() as session:
            return config.remove_channel(session, project_id, channel_id)

    def deliveries(self, project_id: str) -> dict[str, model.DeliveryCounts]:
        """Return what became of notifications, by channel id."""
        with self._reading() as session:
            return outbox.delivery_counts(session, project_id)

    def silences(self, project_id: str, ended_after_ns: int = 0) -> list[model.Silence]:
        """Return silences that end after a moment, the newest first."""
        with self._reading() as session:
            return config.list_silences(session, project_id, ended_after_ns)

    def create_silence(self, silence: model.Silence) -> model.Silence:
        """Keep a checked silence. Raises ``NotFound``, ``BadRequest``."""
        with self._writing() as session:
            return config.add_silence(session, silence)

    def end_silence(self, project_id: str, silence_id: str, at_ns: int) -> model.Silence:
        """End a silence at a moment. Raises ``NotFound``."""
        with self._writing() as session:
            return config.end_silence(session, project_id, silence_id, at_ns)

    def inhibitions(self, project_id: str) -> tuple[model.Inhibition, ...]:
        """Return the inhibitions of a project."""
        with self._reading() as session:
            return config.read_inhibitions(session, project_id)

    def put_inhibitions(
        self, project_id: str, inhibitions: Sequence[model.Inhibition], known: str | None = None
    ) -> None:
        """Set the inhibitions of a project. Raises ``Conflict``."""
        with self._writing() as session:
            config.write_inhibitions(session, project_id, inhibitions, known)

    def alerts(self, project_id: str, query: model.AlertQuery) -> list[model.Alert]:
        """Return a page of alerts."""
        with self._reading() as session:
            return state.page_of_alerts(session, project_id, query)

    def fired_between(self, project_id: str, from_s: int, to_s: int, limit: int) -> list[model.Fired]:
        """Return alerts that were firing at some time in a range, those that fired last first."""
        with self._reading() as session:
            return state.fired_between(session, project_id, from_s, to_s, limit)

    def alert(self, project_id: str, alert_id: str) -> tuple[model.Alert, list[model.Transition]]:
        """Return an alert with its transitions. Raises ``NotFound``."""
        with self._reading() as session:
            return state.read_alert(session, project_id, alert_id)

    def active_alerts(self) -> dict[str, list[model.Alert]]:
        """Return the pending and firing alerts of all projects by rule id."""
        with self._reading() as session:
            return state.active_alerts(session)

    def commit(
        self,
        rule: model.Rule,
        before_s: int | None,
        progress: model.RuleProgress,
        alerts: Sequence[model.Alert],
        transitions: Sequence[model.Transition],
        now_ns: int,
    ) -> bool:
        """Write an evaluation, unless the rule moved on meanwhile."""
        with self._writing() as session:
            return state.commit_evaluation(session, rule, before_s, progress, alerts, transitions, now_ns)

    def failed(self, rule: model.Rule, error: str, now_ns: int) -> None:
        """Note why a rule could not be evaluated."""
        with self._writing() as session:
            state.note_failure(session, rule, error, now_ns)

    def close_alerts(self, alerts: Sequence[model.Alert], transitions: Sequence[model.Transition], now_ns: int) -> None:
        """Write the end of alerts whose rule is gone, off or about something else now."""
        with self._writing() as session:
            state.write_alerts(session, alerts, transitions, (), now_ns)

    def groups_due(
        self, channel_ids: Sequence[str], now_ns: int, limit: int, everything: bool = False
    ) -> list[model.Group]:
        """Return groups of some channels to look at, with their members."""
        with self._reading() as session:
            return outbox.groups_due(session, channel_ids, now_ns, limit, everything)

    def settle_group(
        self,
        group: model.Group,
        members: Sequence[model.Member],
        due_ns: int | None,
        notified_ns: int | None,
        notification: model.Notification | None,
    ) -> bool:
        """Write the outcome of a look at a group, unless it was touched since it was read."""
        with self._writing() as session:
            return outbox.settle_group(session, group, members, due_ns, notified_ns, notification)

    def channels_waiting(self, now_ns: int, everything: bool = False) -> list[str]:
        """Return the channels with messages to send now."""
        with self._reading() as session:
            return outbox.channels_waiting(session, now_ns, everything)

    def notifications_due(
        self, channel_id: str, now_ns: int, limit: int, everything: bool = False
    ) -> list[model.Notification]:
        """Return a channel's messages to send now."""
        with self._reading() as session:
            return outbox.notifications_due(session, channel_id, now_ns, limit, everything)

    def tried(self, notification: model.Notification) -> bool:
        """Write what became of an attempt."""
        with self._writing() as session:
            return outbox.write_attempt(session, notification)

    def notifications(self, project_id: str, channel_id: str, limit: int) -> list[model.Notification]:
        """Return a channel's newest messages."""
        with self._reading() as session:
            return outbox.newest_notifications(session, project_id, channel_id, limit)

    def prune(self, before_ns: int) -> int:
        """Forget alerts and messages that ended before a moment; return how many alerts."""
        with self._writing() as session:
            outbox.prune_notifications(session, before_ns)
            return state.prune_alerts(session, before_ns // NS_PER_S)

    def counts(self) -> Mapping[str, int]:
        """Return how many alerts there are by state, and ``waiting`` messages."""
        with self._reading() as session:
            return {**state.count_alerts(session), "waiting": outbox.count_waiting(session)}
