"""The tick that tells people: looks at groups that are due, and empties the outbox."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from urllib.parse import urlsplit

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.derive.alerts.channels import CHANNELS
from spanhouse_server.derive.alerts.channels.contract import Outward
from spanhouse_server.derive.alerts.grouping import look
from spanhouse_server.derive.alerts.message import message
from spanhouse_server.derive.alerts.muting import Muting
from spanhouse_server.derive.contract import Lease
from spanhouse_server.errors import SpanhouseError, Undelivered
from spanhouse_server.model.alerts import Alert, Channel, Group, Notification
from spanhouse_server.store.alert_records import AlertRecords

log = logging.getLogger("spanhouse.alerts")

#: Channels that are sent to at once. One that does not answer takes one of them, for seconds, at long intervals.
SENDERS = 16
#: Attempts at one message: with the pauses between them about an hour.
MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 600.0
#: What waits longer than this, because its channel is off, is given up: it is news no more.
MAX_AGE_NS = 24 * 3600 * NS_PER_S
#: What is on its way when the server stops gets this long, so that it need not be sent again.
CLOSE_S = 3.0
GROUPS_AT_ONCE = 500
#: Of one channel.
MESSAGES_AT_ONCE = 50
#: How long alerts that ended and messages that were sent are kept.
KEPT_NS = 30 * 86_400 * NS_PER_S
PRUNE_EVERY_S = 3600.0
#: Characters of an error that are kept.
MAX_SAID = 300
#: Texts shorter than this are no secret, and occur in any sentence.
LEAST_SECRET = 6
#: A wall clock that falls so far behind the steady one was set back.
SET_BACK_S = 2.0


class AlertDelivery:
    """Tells channels what they are to be told. A ``Tick``; sending goes on beside it, one thread a channel.

    A message is in the outbox before it is sent and marked after the receiver took it. A crash in between sends it
    again, under the same id.
    """

    name = "alerts.deliver"
    every_s = 2.0

    def __init__(
        self,
        records: AlertRecords,
        outward: Outward,
        *,
        public_url: str = "",
        monotonic_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._outward = outward
        self._public_url = public_url
        self._monotonic_s = monotonic_s
        self._jitter = jitter
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="alert-sender")
        self._sending: dict[str, Future[None]] = {}
        self._last: tuple[int, float] | None = None
        self._pruned_s = monotonic_s()

    def run(self, now_ns: int, lease: Lease) -> None:
        """Look at what is due and start sending what waits."""
        everything = self._was_set_back(now_ns)
        channels = {channel.id: channel for channel in self._records.channels() if channel.enabled}
        self._look(channels, now_ns, everything)
        if lease.still_held():
            self._send(channels, now_ns, everything, lease)
        if self._monotonic_s() - self._pruned_s > PRUNE_EVERY_S:
            self._pruned_s = self._monotonic_s()
            self._records.prune(now_ns - KEPT_NS)

    def finish(self, timeout_s: float) -> None:
        """Wait for what is being sent."""
        wait(list(self._sending.values()), timeout_s)

    def close(self) -> None:
        """Stop sending; what was not taken yet is sent after the next start."""
        self.finish(CLOSE_S)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _was_set_back(self, now_ns: int) -> bool:
        """Tell whether written times cannot be trusted: at the first look, and after the clock was set back."""
        steady_s = self._monotonic_s()
        last, self._last = self._last, (now_ns, steady_s)
        return last is None or (now_ns - last[0]) / NS_PER_S < steady_s - last[1] - SET_BACK_S

    def _look(self, channels: dict[str, Channel], now_ns: int, everything: bool) -> None:
        due = self._records.groups_due(list(channels), now_ns, GROUPS_AT_ONCE, everything)
        mutings: dict[str, Muting] = {}
        firing: list[Alert] | None = None
        for group in due:
            channel = channels[group.channel_id]
            if everything and not _may_be_due(group, channel, now_ns):
                continue
            if firing is None:
                firing = [alert for alerts in self._records.active_alerts().values() for alert in alerts]
            if group.project_id not in mutings:
                own = [alert for alert in firing if alert.project_id == group.project_id]
                silences = self._records.silences(group.project_id, now_ns)
                inhibitions = self._records.inhibitions(group.project_id)
                rules = self._records.rules(group.project_id)
                mutings[group.project_id] = Muting(silences, inhibitions, own, now_ns, rules)
            self._settle(group, channel, mutings[group.project_id], now_ns)

    def _settle(self, group: Group, channel: Channel, muting: Muting, now_ns: int) -> None:
        seen = look(group, channel, lambda alert: muting.why(alert) is not None, now_ns)
        notification = None
        if seen.tell:
            # Messages of a group are sent in this order, whatever was done to the clock.
            stamp_ns = max(now_ns, (group.notified_ns or 0) + 1)
            notification_id = secrets.token_hex(16)
            notification = Notification(
                id=notification_id,
                project_id=group.project_id,
                channel_id=channel.id,
                group_id=group.id,
                payload=message(
                    notification_id,
                    group,
                    channel,
                    seen.tell,
                    repeat=seen.repeat,
                    now_ns=now_ns,
                    public_url=self._public_url,
                ),
                created_ns=stamp_ns,
                next_try_ns=now_ns,
            )
        self._records.settle_group(group, seen.members, seen.due_ns, seen.notified_ns, notification)

    def _send(self, channels: dict[str, Channel], now_ns: int, everything: bool, lease: Lease) -> None:
        self._sending = {each: future for each, future in self._sending.items() if not future.done()}
        for channel_id in self._records.channels_waiting(now_ns, everything):
            if channel_id in self._sending:
                continue
            fresh = []
            for notification in self._records.notifications_due(channel_id, now_ns, MESSAGES_AT_ONCE, everything):
                if now_ns - notification.created_ns > MAX_AGE_NS:
                    self._give_up(notification, now_ns)
                else:
                    fresh.append(notification)
            if fresh and channel_id in channels:
                self._sending[channel_id] = self._pool.submit(self._empty, channels[channel_id], fresh, lease)

    def _empty(self, channel: Channel, waiting: Sequence[Notification], lease: Lease) -> None:
        """Send a channel's messages one by one, until one cannot be delivered now."""
        try:
            for notification in waiting:
                if not lease.still_held() or not self._attempt(channel, notification):
                    return
        except Exception:
            log.exception("sending to the channel %s of project %s failed", channel.id, channel.project_id)

    def _attempt(self, channel: Channel, notification: Notification) -> bool:
        """Send one message and write what became of it; return whether the channel takes more."""
        attempts = notification.attempts + 1
        notification = replace(notification, tried_ns=now_ns())
        try:
            send(channel, notification.payload, self._outward)
        except Undelivered as error:
            failed = replace(notification, attempts=attempts, error=error.said)
            if not error.retry or attempts >= MAX_ATTEMPTS:
                self._records.tried(replace(failed, state="failed", ended_ns=now_ns()))
                log.warning("a notification for %s was given up: %s", channel.name, error.message)
                return not error.retry
            pause_s = max(self._pause_s(attempts), error.retry_after_s)
            self._records.tried(replace(failed, next_try_ns=now_ns() + round(pause_s * NS_PER_S)))
            return False
        self._records.tried(replace(notification, attempts=attempts, state="delivered", ended_ns=now_ns(), error=""))
        return True

    def _pause_s(self, attempts: int) -> float:
        return min(FIRST_PAUSE_S * 2.0 ** (attempts - 1), LONGEST_PAUSE_S) * (0.8 + 0.4 * self._jitter())

    def _give_up(self, notification: Notification, now_ns: int) -> None:
        error = notification.error or "it waited for a day"
        self._records.tried(
            replace(notification, attempts=notification.attempts + 1, state="failed", ended_ns=now_ns, error=error)
        )


def send(channel: Channel, payload: object, outward: Outward) -> None:
    """Send a message over a channel; return when the receiver took it. Raises ``Undelivered``.

    What the receiver says is kept and shown: if it repeats one of the channel's secrets, that is blotted out.
    """
    kind = CHANNELS.get(channel.type)
    if kind is None or not isinstance(payload, dict):
        raise Undelivered(f"there is no type of channel {channel.type!r}", "make the channel anew", retry=False)
    secrets_of: Mapping[str, str] = {}
    try:
        secrets_of = outward.unseal(channel.sealed, bound_to(channel)) if channel.sealed else {}
        kind.send(channel.options, secrets_of, payload, outward)
    except Undelivered as error:
        raise Undelivered(
            without_secrets(error.message, secrets_of)[:MAX_SAID],
            error.hint,
            retry=error.retry,
            retry_after_s=error.retry_after_s,
        ) from None
    except SpanhouseError as error:
        raise Undelivered(error.message, error.hint, retry=False) from None
    except Exception as error:
        log.exception("a channel of type %s failed", channel.type)
        raise Undelivered(
            f"sending failed inside Spanhouse ({type(error).__name__})", "its log says why", retry=True
        ) from None


def without_secrets(text: str, secrets_of: Mapping[str, str]) -> str:
    """Return a text in which the secrets are blotted out, and the parts of an address that only its owner knows."""
    for name, value in secrets_of.items():
        parts = [value]
        if name == "url":
            address = urlsplit(value)
            parts += [address.path, address.query, *address.path.split("/"), *address.query.split("&")]
            parts += [part.partition("=")[2] for part in address.query.split("&")]
        # Longest first: what is left of a longer one would still tell of it.
        for part in sorted({part for part in parts if len(part) >= LEAST_SECRET}, key=len, reverse=True):
            text = text.replace(part, "***")
    return text


def bound_to(channel: Channel) -> tuple[str, ...]:
    """Return what a channel's secrets are sealed to: nobody can point them at another target."""
    return ("alert-channel", channel.project_id, channel.id, channel.type, channel.target)


def _may_be_due(group: Group, channel: Channel, now_ns: int) -> bool:
    """Tell whether a group is due, or its time lies further ahead than it can be: the clock was set back."""
    longest_s = max(channel.group_wait_s if group.notified_ns is None else channel.repeat_interval_s, 1)
    return group.due_ns <= now_ns or group.due_ns > now_ns + longest_s * NS_PER_S
