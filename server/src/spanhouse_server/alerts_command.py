"""``spanhouse alerts``: rules from YAML files, with the stores in this process or by the running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

from pydantic import ValidationError

from spanhouse_server.clock import now_ns
from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.channels.contract import NoOutward
from spanhouse_server.derive.alerts.desk import AlertDesk, public_url_of
from spanhouse_server.derive.alerts.kinds import bind_kinds
from spanhouse_server.derive.alerts.rule_files import Written, path_of, read_rules
from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.errors import BadRequest, FolderInUse, NotFound, SpanhouseError
from spanhouse_server.house import Stores, open_stores
from spanhouse_server.model.alerts import RuleProgress
from spanhouse_server.query.times import parse_time
from spanhouse_server.running_server import ask, running_at
from spanhouse_server.show.routes.alert_rules import back_test_reply, rule_from, rule_item
from spanhouse_server.show.schemas.alert_rules import RuleInput
from spanhouse_server.store.access import DEFAULT_PROJECT

Say = Callable[[str], None]
#: What a rule of a file must agree with to be left as it is.
_COMPARED = tuple(RuleInput.model_fields)


class Book(Protocol):
    """The rules of one project, here or at a server."""

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as the API shows them."""

    def create(self, body: RuleInput) -> None:
        """Add a rule."""

    def update(self, rule_id: str, body: RuleInput) -> None:
        """Replace a rule."""

    def delete(self, rule_id: str) -> None:
        """Delete a rule."""

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        """Run a rule over the past."""


def apply(
    settings: Settings, files: Sequence[str], project: str, endpoint: str, *, prune: bool, dry_run: bool, say: Say
) -> bool:
    """Make the rules of the files be in force; say what was done, return whether all of it could be.

    Everything is checked before anything is changed. ``prune`` deletes rules that came from files and are in none
    of these.
    """
    wanted, faults = _read(files, project or DEFAULT_PROJECT)
    if faults:
        for fault in faults:
            say(fault)
        say(f"{len(faults)} faults; nothing was changed")
        return False
    with _book(settings, project, endpoint, say) as book:
        known = {rule["name"]: rule for rule in book.rules()}
        would = "would " if dry_run else ""
        failed = 0
        for written, body in wanted:
            before = known.get(body.name)
            if before is not None and _same(before, body):
                say(f"unchanged {body.name}")
                continue
            say(f"{would}{'create' if before is None else 'update'} {body.name}")
            if dry_run:
                continue
            try:
                book.create(body) if before is None else book.update(before["id"], body)
            except SpanhouseError as error:
                failed += 1
                say(written.at_fault(error.message))
        if prune:
            names = {body.name for _, body in wanted}
            for rule in known.values():
                if rule["managed_by"] == "file" and rule["name"] not in names:
                    say(f"{would}delete {rule['name']}")
                    if not dry_run:
                        book.delete(rule["id"])
    return not failed


def show(settings: Settings, project: str, endpoint: str, say: Say) -> bool:
    """List the rules with how they stand."""
    with _book(settings, project, endpoint, say) as book:
        rules = book.rules()
    for rule in rules:
        active = rule["alerts"]
        more = f"\t{rule['error'] or rule['reason']}" if rule["error"] or rule["reason"] else ""
        say(f"{rule['state']}\t{rule['name']}\t{rule['type']} {rule['metric']}\t{active['firing']} firing{more}")
    say(f"{len(rules)} rules")
    return True


def back_test(
    settings: Settings, files: Sequence[str], project: str, from_: str, to: str, endpoint: str, say: Say
) -> bool:
    """Run the rules of the files over the past and say when they would have fired."""
    parse_time(from_, now_ns(), "--from")
    parse_time(to, now_ns(), "--to")
    wanted, faults = _read(files, project or DEFAULT_PROJECT)
    with _book(settings, project, endpoint, say) as book:
        for written, body in wanted:
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
                say(f"  {alert['fired_at'][:19]}Z to {until[:19]}  {alert['severity']}  {labels}")
    for fault in faults:
        say(fault)
    return not faults


def _read(files: Sequence[str], project: str) -> tuple[list[tuple[Written, RuleInput]], list[str]]:
    wanted: list[tuple[Written, RuleInput]] = []
    faults: list[str] = []
    seen: dict[str, Written] = {}
    for file in files:
        try:
            rules = read_rules(path_of(file))
        except BadRequest as error:
            faults.append(error.message + (f" ({error.hint})" if error.hint else ""))
            continue
        for written in rules:
            body, own = _checked(written, project)
            faults.extend(own)
            if body is None:
                continue
            if body.name in seen:
                other = seen[body.name]
                faults.append(written.at_fault(f"name: {body.name!r} is at {other.file}:{other.line} already"))
            seen[body.name] = written
            wanted.append((written, body))
    return wanted, faults


def _checked(written: Written, project: str) -> tuple[RuleInput | None, list[str]]:
    try:
        body = RuleInput.model_validate({**written.fields, "managed_by": "file"})
        checked(rule_from(project, "", body))
    except ValidationError as error:
        faults = [(".".join(str(part) for part in each["loc"]), each["msg"]) for each in error.errors()]
        return None, [written.at_fault(f"{where}: {what}") for where, what in faults]
    except BadRequest as error:
        return None, [written.at_fault(error.message + (f" ({error.hint})" if error.hint else ""))]
    return body, []


def _same(before: dict[str, Any], body: RuleInput) -> bool:
    after = body.model_dump()
    return all(before[name] == after[name] for name in _COMPARED)


@contextmanager
def _book(settings: Settings, project: str, endpoint: str, say: Say) -> Iterator[Book]:
    """Give the rules: of the stores when they can be opened here, else of the server that has them open."""
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
        yield _Here(settings, stores, project or DEFAULT_PROJECT)


class _Here:
    """The rules in the stores of this process."""

    def __init__(self, settings: Settings, stores: Stores, project: str) -> None:
        if stores.records.project(project) is None:
            raise NotFound(f"no project {project!r}", "create it first")
        bind_kinds(stores.records)
        self._records = stores.records.alerts
        self._project = project
        self._desk = AlertDesk(
            stores.columnar,
            stores.records.alerts,
            NoOutward(),
            settle_s=settings.alert_settle_s,
            public_url=public_url_of(settings),
        )

    def rules(self) -> list[dict[str, Any]]:
        progress, active = self._records.progress(self._project), self._records.active_alerts()
        return [
            rule_item(rule, progress.get(rule.id, RuleProgress()), active.get(rule.id, ()))
            for rule in self._records.rules(self._project)
        ]

    def create(self, body: RuleInput) -> None:
        self._records.create_rule(self._desk.checked_rule(rule_from(self._project, "", body)))

    def update(self, rule_id: str, body: RuleInput) -> None:
        self._records.update_rule(self._desk.checked_rule(rule_from(self._project, rule_id, body)))

    def delete(self, rule_id: str) -> None:
        self._records.delete_rule(self._project, rule_id)

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        at_ns = now_ns()
        range_ns = parse_time(from_, at_ns, "--from"), parse_time(to, at_ns, "--to")
        return back_test_reply(self._desk.back_test(rule_from(self._project, "", body), *range_ns))


class _There:
    """The rules at a running server, through its API."""

    def __init__(self, settings: Settings, url: str, project: str) -> None:
        self._settings = settings
        self._root = f"{url.rstrip('/')}/api/v1/alerts/rules"
        self._query = f"?{urlencode({'project': project})}" if project else ""

    def rules(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(self._settings, self._root + self._query, None)["items"]
        return found

    def create(self, body: RuleInput) -> None:
        ask(self._settings, self._root + self._query, body.model_dump())

    def update(self, rule_id: str, body: RuleInput) -> None:
        ask(self._settings, f"{self._root}/{rule_id}{self._query}", body.model_dump(), "PUT")

    def delete(self, rule_id: str) -> None:
        ask(self._settings, f"{self._root}/{rule_id}{self._query}", None, "DELETE")

    def back_test(self, body: RuleInput, from_: str, to: str) -> dict[str, Any]:
        asked = {"rule": body.model_dump(), "from": from_, "to": to}
        return ask(self._settings, f"{self._root}/backtest{self._query}", asked)
