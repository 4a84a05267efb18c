"""``spanhouse alerts``: rules and channels from YAML files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from spanhouse_server.alerts_book import Book, OutwardOf, Say, no_outward, open_book
from spanhouse_server.clock import now_ns
from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.desk import check_channel
from spanhouse_server.derive.alerts.rule_files import Written, path_of, read_file, secrets_of
from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.errors import BadRequest, SpanhouseError
from spanhouse_server.query.times import parse_time
from spanhouse_server.show.routes.alert_channels import channel_from
from spanhouse_server.show.routes.alert_rules import rule_from
from spanhouse_server.show.schemas.alert_channels import ChannelInput
from spanhouse_server.show.schemas.alert_rules import RuleInput
from spanhouse_server.show.schemas.common import Body
from spanhouse_server.show.schemas.faults import said
from spanhouse_server.store.access import DEFAULT_PROJECT

#: What a rule of a file must agree with to be left as it is, and a channel; of secrets nobody can tell.
_COMPARED = tuple(RuleInput.model_fields)
_COMPARED_CHANNEL = tuple(name for name in ChannelInput.model_fields if name not in ("secrets", "options"))


@dataclass(slots=True)
class _Wanted:
    """What the files ask for, and what is wrong with them."""

    rules: list[tuple[Written, RuleInput]] = field(default_factory=list)
    channels: list[tuple[Written, ChannelInput]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def apply(
    settings: Settings,
    files: Sequence[str],
    project: str,
    endpoint: str,
    *,
    prune: bool,
    dry_run: bool,
    say: Say,
    channels: Sequence[str] = (),
    outward_of: OutwardOf = no_outward,
    environment: Mapping[str, str] = os.environ,
) -> bool:
    """Make the rules and channels of the files be in force; say what was done, return whether all of it could be.

    Everything is checked before anything is changed. ``prune`` deletes what came from files and is in none of these.
    ``channels`` are told by the rules that name none, such as those that are shipped.
    Channels take their secrets from ``environment``; each time they are set again, since nobody can read them.
    """
    wanted = _read(files, project or DEFAULT_PROJECT, environment)
    if wanted.faults:
        return _refuse(wanted.faults, say)
    wanted.rules = [
        (written, rule if rule.channels else rule.model_copy(update={"channels": list(channels)}))
        for written, rule in wanted.rules
    ]
    with open_book(settings, project, endpoint, say, outward_of) as book:
        known = {each["name"]: each for each in book.channels()}
        if faults := _missing_channels(wanted, known):
            return _refuse(faults, say)
        rules = {each["name"]: each for each in book.rules()}
        work = _Work(book, say, dry_run)
        for written, body in wanted.channels:
            work.put_channel(written, body, known.get(body.name))
        for written, rule in wanted.rules:
            work.put_rule(written, rule, rules.get(rule.name))
        if prune:
            work.prune(rules, {rule.name for _, rule in wanted.rules}, book.delete_rule)
            work.prune(known, {body.name for _, body in wanted.channels}, book.delete_channel)
    return not work.failed


def show(settings: Settings, project: str, endpoint: str, say: Say) -> bool:
    """List the rules with how they stand."""
    with open_book(settings, project, endpoint, say) as book:
        rules = book.rules()
    for rule in rules:
        active = rule["alerts"]
        why = rule["error"] or (rule["reason"] if rule["state"] == "unknown" else "")
        more = f"\t{why}" if why else ""
        say(f"{rule['state']}\t{rule['name']}\t{rule['type']} {rule['metric']}\t{active['firing']} firing{more}")
    say(f"{len(rules)} rules")
    return True


def back_test(
    settings: Settings, files: Sequence[str], project: str, from_: str, to: str, endpoint: str, say: Say
) -> bool:
    """Run the rules of the files over the past and say when they would have fired and whether anyone had heard."""
    parse_time(from_, now_ns(), "--from")
    parse_time(to, now_ns(), "--to")
    wanted = _read(files, project or DEFAULT_PROJECT, None)
    faults = wanted.faults
    with open_book(settings, project, endpoint, say) as book:
        for written, body in wanted.rules:
            try:
                found = book.back_test(body, from_, to)
            except SpanhouseError as error:
                faults.append(written.at_fault(error.message))
                continue
            messages = sum(found["notifications"].values())
            fired = len(found["alerts"]) + found["left_out"]
            say(f"{body.name}: {fired} alerts, {messages} messages in {found['evaluations']} evaluations")
            for alert in found["alerts"]:
                labels = ", ".join(f"{name} {value}" for name, value in sorted(alert["labels"].items()))
                until = alert["resolved_at"] or "still firing"
                why = alert["muted"]
                held = f"  not told ({why['by']} {why['id']})" if why and not alert["told_at"] else ""
                say(f"  {alert['fired_at'][:19]}Z to {until[:19]}  {alert['severity']}  {labels}{held}")
    for fault in faults:
        say(fault)
    return not faults


class _Work:
    """Does what the files ask for, or only says so."""

    def __init__(self, book: Book, say: Say, dry_run: bool) -> None:
        self.failed = False
        self._book = book
        self._say = say
        self._dry_run = dry_run

    def put_rule(self, written: Written, body: RuleInput, before: Mapping[str, Any] | None) -> None:
        """Make a rule be as written."""
        if before is not None and _same(before, body):
            self._say(f"unchanged {body.name}")
            return
        self._tell("create" if before is None else "update", body.name)
        with self._trying(written):
            if not self._dry_run:
                self._book.create_rule(body) if before is None else self._book.update_rule(before["id"], body)

    def put_channel(self, written: Written, body: ChannelInput, before: Mapping[str, Any] | None) -> None:
        """Make a channel be as written, its secrets too."""
        if before is None:
            self._tell("create", f"channel {body.name}")
        elif _same_channel(before, body):
            self._say(f"unchanged channel {body.name}" + (" (its secrets are set again)" if body.secrets else ""))
        else:
            self._tell("update", f"channel {body.name}")
        with self._trying(written):
            if self._dry_run:
                return
            if before is None:
                self._book.create_channel(body)
                return
            gone = dict.fromkeys(set(before["secrets"]) - set(body.secrets), "")
            self._book.update_channel(before["id"], body.model_copy(update={"secrets": {**gone, **body.secrets}}))

    def prune(self, known: Mapping[str, Mapping[str, Any]], names: set[str], delete: Any) -> None:
        """Delete what came from files and is in none of them any more."""
        for each in known.values():
            if each["managed_by"] != "file" or each["name"] in names:
                continue
            self._tell("delete", f"{'channel ' if 'target' in each else ''}{each['name']}")
            with self._trying(None):
                if not self._dry_run:
                    delete(each["id"])

    def _tell(self, verb: str, what: str) -> None:
        self._say(f"{'would ' if self._dry_run else ''}{verb} {what}")

    @contextmanager
    def _trying(self, written: Written | None) -> Iterator[None]:
        """Say what the server refuses, and go on with the rest."""
        try:
            yield
        except SpanhouseError as error:
            self.failed = True
            self._say(written.at_fault(error.said) if written else error.said)


def _refuse(faults: Sequence[str], say: Say) -> bool:
    for fault in faults:
        say(fault)
    say(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}; nothing was changed")
    return False


def _missing_channels(wanted: _Wanted, known: Mapping[str, object]) -> list[str]:
    names = set(known) | {body.name for _, body in wanted.channels}
    return [
        written.at_fault(f"channels: there is no channel {name[:60]!r}")
        for written, body in wanted.rules
        for name in body.channels
        if name not in names
    ]


def _read(files: Sequence[str], project: str, environment: Mapping[str, str] | None) -> _Wanted:
    """Read the files; without an ``environment`` their channels are left out."""
    wanted = _Wanted()
    seen: dict[tuple[type[Any], str], Written] = {}
    for file in files:
        try:
            found = read_file(path_of(file))
        except BadRequest as error:
            wanted.faults.append(error.said)
            continue
        for written in found.rules:
            rule = _checked(wanted, written, RuleInput, lambda written=written: _rule_of(written, project))
            if rule is not None:
                _note_name(wanted, seen, written, rule)
                wanted.rules.append((written, rule))
        for written in found.channels if environment is not None else ():
            channel = _checked(
                wanted, written, ChannelInput, lambda written=written: _channel_of(written, project, environment)
            )
            if channel is not None:
                _note_name(wanted, seen, written, channel)
                wanted.channels.append((written, channel))
    return wanted


def _note_name(wanted: _Wanted, seen: dict[tuple[type[Any], str], Written], written: Written, body: Any) -> None:
    key = type(body), body.name
    if key in seen:
        other = seen[key]
        wanted.faults.append(written.at_fault(f"name: {body.name!r} is at {other.file}:{other.line} already"))
    seen[key] = written


def _checked(wanted: _Wanted, written: Written, body: type[Body], make: Any) -> Any:
    """Return what ``make`` makes of something written as a ``body``, or nothing, with what is wrong noted."""
    try:
        return make()
    except ValidationError as error:
        fields = body.model_fields.keys() - {"managed_by"}
        wanted.faults += [written.at_fault(said(each, fields)) for each in error.errors()]
    except BadRequest as error:
        wanted.faults.append(written.at_fault(error.said))
    return None


def _rule_of(written: Written, project: str) -> RuleInput:
    body = RuleInput.model_validate({**written.fields, "managed_by": "file"})
    checked(rule_from(project, "", body))
    return body


def _channel_of(written: Written, project: str, environment: Mapping[str, str]) -> ChannelInput:
    secrets = secrets_of(written, environment)
    body = ChannelInput.model_validate({**written.fields, "secrets": secrets, "managed_by": "file"})
    # The options as they are kept: with what was left out at its default, so that they can be compared.
    setup = check_channel(channel_from(project, "", body), secrets)
    return body.model_copy(update={"options": dict(setup.options)})


def _same(before: Mapping[str, Any], body: RuleInput) -> bool:
    after = body.model_dump()
    return all(before[name] == after[name] for name in _COMPARED)


def _same_channel(before: Mapping[str, Any], body: ChannelInput) -> bool:
    after = body.model_dump()
    same = all(before[name] == after[name] for name in _COMPARED_CHANNEL) and before["options"] == after["options"]
    return same and set(before["secrets"]) == set(body.secrets)
