"""The ``spanhouse`` command. Heavy rooms are imported by the commands that need them."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence

from spanhouse_server import __version__
from spanhouse_server.config import SETTINGS, Setting, Settings, settings_markdown
from spanhouse_server.errors import ConfigError, SpanhouseError

_DERIVE_SETTINGS = ("admin_key", "rollup_retention_days", "rollup_tier_key")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(_with_times(sys.argv[1:] if arguments is None else arguments))
    try:
        return int(options.run(options) or 0)
    except SpanhouseError as error:
        print(f"spanhouse: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _with_times(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with times joined to their options: ``--since -7d`` would read as two options."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] in ("--since", "--until"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanhouse", description="Self-hosted, OpenTelemetry-native observability for LLM applications."
    )
    parser.add_argument("--version", action="version", version=f"spanhouse {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)

    serve = _command(commands, "serve", _serve, "receive, store and show traces")
    _add_settings(serve, SETTINGS)
    serve.add_argument(
        "--proxy-upstream",
        dest="more_upstreams",
        action="append",
        metavar="NAME=URL",
        help="add or replace one upstream of the proxy; may be given again",
    )

    migrate = _command(commands, "migrate", _migrate, "bring the stores to the newest schema and leave")
    _add_settings(migrate, _store_settings())

    replay = _command(commands, "replay", _replay, "list what could not be stored, or put it back in the queue")
    _add_settings(replay, _store_settings())
    replay.add_argument("sequence", nargs="*", type=int, help="requests to put back")
    replay.add_argument("--all", action="store_true", help="put every request back")

    for kind, what in (
        ("reprice", "price stored spans anew, after own prices or the public list changed"),
        ("remap", "read stored spans anew from their raw records, after an update"),
    ):
        remake = _command(commands, kind, _remake, what)
        _add_settings(remake, [*_store_settings(), *(each for each in SETTINGS if each.name == "admin_key")])
        remake.add_argument("--since", default="", help="leave out traces that ended before, e.g. 2026-01-31 or -7d")
        remake.add_argument("--project", default="", help="one project only (default: all)")
        remake.add_argument("--endpoint", default="", help="server to ask when it has the data folder open")
        remake.set_defaults(kind=kind)

    derive = _command(commands, "derive", _derive, "have a background worker derive a range of the past again")
    _add_settings(derive, [*_store_settings(), *(each for each in SETTINGS if each.name in _DERIVE_SETTINGS)])
    derive.add_argument("--worker", default="rollup", help="which worker (default: %(default)s)")
    derive.add_argument("--since", required=True, help="spans that start at or after this, e.g. 2026-01-31 or -7d")
    derive.add_argument("--until", default="", help="and before this (default: now)")
    derive.add_argument("--project", default="", help="one project only (default: all)")
    derive.add_argument("--endpoint", default="", help="server to ask when it has the data folder open")

    _add_alerts(commands)

    doctor = _command(commands, "doctor", _doctor, "check the set-up and say what to mend")
    _add_settings(doctor, SETTINGS)

    demo = _command(commands, "demo", _demo, "send the traffic of a small sample application")
    demo.add_argument("--endpoint", default="http://127.0.0.1:4318", help="Spanhouse to send to (default: %(default)s)")
    demo.add_argument("--api-key", default=None, help="key of the project, where keys are asked for")
    demo.add_argument("--traces", type=int, default=40, help="how many traces to send (default: %(default)s)")

    openapi = _command(commands, "openapi", _openapi, "print the OpenAPI document of the API")
    openapi.set_defaults(run=_openapi)
    settings = _command(commands, "settings", _settings, "print every setting")
    settings.add_argument("--markdown", action="store_true", help="as docs/settings.md")
    _command(commands, "version", lambda _: print(f"spanhouse {__version__}"), "print the version")
    return parser


def _command(commands: argparse._SubParsersAction, name: str, run: object, help_text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    command.set_defaults(run=run)
    return command


def _add_alerts(commands: argparse._SubParsersAction) -> None:
    alerts = commands.add_parser(
        "alerts", help="alert rules and channels from YAML files", description="Alert rules and channels."
    )
    kinds = alerts.add_subparsers(metavar="command", required=True)
    apply = _command(kinds, "apply", _alerts_apply, "make the rules and channels of YAML files be in force")
    apply.add_argument("--prune", action="store_true", help="delete what came from files and is in none of these")
    apply.add_argument(
        "--channel", action="append", default=[], metavar="NAME", help="told by rules that name no channel; repeatable"
    )
    apply.add_argument("--dry-run", action="store_true", help="only say what would be done")
    backtest = _command(kinds, "backtest", _alerts_backtest, "run the rules of YAML files over the past")
    backtest.add_argument("--from", dest="since", default="now-7d", help="RFC 3339 or relative (default: %(default)s)")
    backtest.add_argument("--to", default="now", help="RFC 3339 or relative (default: %(default)s)")
    for command in (apply, backtest):
        command.add_argument(
            "files", nargs="+", metavar="FILE", help="YAML files; defaults: the rules that are shipped"
        )
    for command in (apply, backtest, _command(kinds, "list", _alerts_list, "list the rules and how they stand")):
        _add_settings(command, [*_store_settings(), *(each for each in SETTINGS if each.name == "admin_key")])
        command.add_argument("--project", default="", help="project (default: default, or the key's own)")
        command.add_argument("--endpoint", default="", help="server to ask, e.g. http://127.0.0.1:4318")


def _store_settings() -> list[Setting]:
    names = {"data_dir", "store_dsn", "store_cluster", "records_dsn", "log_level"}
    return [setting for setting in SETTINGS if setting.name in names]


def _add_settings(command: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    for setting in settings:
        text = f"{setting.help} Default: {setting.default or 'empty'}; environment: {setting.env}"
        if setting.type == "bool":
            command.add_argument(setting.flag, dest=setting.name, action=argparse.BooleanOptionalAction, help=text)
        else:
            command.add_argument(
                setting.flag, dest=setting.name, metavar=setting.unit.split(" ")[0].upper() or "VALUE", help=text
            )


def _load(options: argparse.Namespace) -> Settings:
    flags = {setting.name: getattr(options, setting.name, None) for setting in SETTINGS}
    settings = Settings.load(flags)
    settings.add_upstreams(getattr(options, "more_upstreams", None) or ())
    return settings


def _serve(options: argparse.Namespace) -> int:
    # Nearly all that a start makes stays: looking for garbage meanwhile costs an eighth of it. The server
    # turns the collector on when it is ready (``app``).
    gc.disable()
    try:
        from spanhouse_server.app import serve

        serve(_load(options))
    finally:
        gc.enable()
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from spanhouse_server.house import open_stores

    with open_stores(_load(options)) as stores:
        applied = stores.columnar.migrate()
    for name in applied:
        print(f"applied {name}")
    print("the stores have the newest schema")
    return 0


def _replay(options: argparse.Namespace) -> int:
    from spanhouse_server.clock import rfc3339
    from spanhouse_server.house import lock_data_dir, open_spool

    settings = _load(options)
    with lock_data_dir(settings), open_spool(settings) as spool:
        if options.all or options.sequence:
            strange = set(options.sequence) - {entry.sequence for entry in spool.list_set_aside()}
            if strange:
                named = ", ".join(map(str, sorted(strange)))
                raise ConfigError(f"not set aside: {named}", "`spanhouse replay` lists what is")
            count = spool.replay(options.sequence or None)
            print(f"put back {count} request{'' if count == 1 else 's'}; they are stored at the next start")
            return 0
        waiting = spool.list_set_aside()
        for entry in waiting:
            print(
                f"{entry.sequence}\t{rfc3339(entry.received_ns)}\t{entry.project_id}\t{entry.signal}"
                f"\t{entry.size_bytes} bytes\t{entry.reason}"
            )
        print(f"{len(waiting)} set aside" + ("; put them back with --all or their numbers" if waiting else ""))
    return 0


def _remake(options: argparse.Namespace) -> int:
    from spanhouse_server.remake_command import remake

    return 0 if remake(_load(options), options.kind, options.project, options.since, options.endpoint, print) else 1


def _derive(options: argparse.Namespace) -> int:
    from spanhouse_server.derive_command import derive

    done = derive(
        _load(options), options.worker, options.project, options.since, options.until, options.endpoint, print
    )
    return 0 if done else 1


def _alerts_apply(options: argparse.Namespace) -> int:
    from spanhouse_server.alerts_command import apply
    from spanhouse_server.app import outward_of

    done = apply(
        _load(options),
        options.files,
        options.project,
        options.endpoint,
        prune=options.prune,
        dry_run=options.dry_run,
        say=print,
        channels=options.channel,
        outward_of=outward_of,
    )
    return 0 if done else 1


def _alerts_backtest(options: argparse.Namespace) -> int:
    from spanhouse_server.alerts_command import back_test

    done = back_test(_load(options), options.files, options.project, options.since, options.to, options.endpoint, print)
    return 0 if done else 1


def _alerts_list(options: argparse.Namespace) -> int:
    from spanhouse_server.alerts_command import show

    return 0 if show(_load(options), options.project, options.endpoint, print) else 1


def _doctor(options: argparse.Namespace) -> int:
    from spanhouse_server.doctor import examine

    return 0 if examine(_load(options), print) else 1


def _demo(options: argparse.Namespace) -> int:
    from spanhouse_server.demo import run

    summary = run(options.endpoint, options.api_key, traces=options.traces)
    print(summary)
    return 0


def _openapi(options: argparse.Namespace) -> int:
    from spanhouse_server.show.openapi import document

    print(json.dumps(document(), indent=2, sort_keys=True))
    return 0


def _settings(options: argparse.Namespace) -> int:
    if options.markdown:
        print(settings_markdown(), end="")
        return 0
    for setting in SETTINGS:
        print(f"{setting.env}\t{setting.flag}\t{setting.default}\t{setting.help}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
