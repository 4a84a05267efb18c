"""``spanhouse-collector keys``: the provider keys that the proxy stores for callers."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanhouse_collector.config import PROXY_SETTINGS
from spanhouse_collector.policy.errors import UnknownKey

_EPILOG = "The provider's key is asked for, or read from standard input, so that it stands in no shell history."


def add_keys_parser(commands: Any) -> None:
    """Add the command to a parser's sub-commands."""
    keys = commands.add_parser(
        "keys", help="provider keys stored for callers", description="Provider keys stored for callers."
    )
    actions = keys.add_subparsers(metavar="action", required=True)
    add = actions.add_parser("add", help="store a provider key and print its virtual key", epilog=_EPILOG)
    add.add_argument("name", help="what to call it, for people")
    add.add_argument(
        "--host",
        action="append",
        required=True,
        metavar="HOST",
        help="where it may be sent, e.g. api.openai.com; repeatable",
    )
    shown = actions.add_parser("list", help="list the stored keys")
    revoke = actions.add_parser("revoke", help="stop a virtual key and wipe the provider key")
    revoke.add_argument("key_id", help="its id, from list")
    for parser, run in ((add, _add), (shown, _list), (revoke, _revoke)):
        parser.add_argument("--project", default="", help="whose it is; empty for a proxy alone on its port")
        parser.add_argument("--data-dir", default=None, metavar="FOLDER", help="the proxy's data folder")
        parser.set_defaults(run=run)


def _open(options: argparse.Namespace) -> Any:
    from spanhouse_collector.policy.engine import open_vault

    settings = {setting.name: setting for setting in PROXY_SETTINGS}
    folder = settings["proxy_data_dir"]
    data_dir = options.data_dir or os.environ.get(folder.env) or folder.default
    return open_vault(Path(data_dir), os.environ.get(settings["proxy_master_key"].env, ""))


def _add(options: argparse.Namespace) -> int:
    real_key = getpass.getpass("The provider's key: ") if sys.stdin.isatty() else sys.stdin.readline()
    vault = _open(options)
    try:
        virtual_key, stored = vault.add(options.project, options.name, real_key, options.host)
    finally:
        vault.close()
    print(f"{virtual_key}\n\nThis is shown once. Callers use it in place of the provider's key.")
    print(f"id {stored.key_id}, only sent to {', '.join(stored.origins)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    vault = _open(options)
    try:
        rows = [("id", "project", "name", "ends in", "made", "only sent to")]
        for item in vault.list():
            made = datetime.fromtimestamp(item.created_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
            rows.append((item.key_id, item.tenant or "-", item.name, item.ending or "-", made, " ".join(item.origins)))
    finally:
        vault.close()
    _print_table(rows)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    vault = _open(options)
    try:
        if not vault.revoke(options.key_id, options.project):
            raise UnknownKey(
                f"no key in use has the id {options.key_id!r} in project {options.project or '-'!r}",
                "see: spanhouse-collector keys list",
            )
    finally:
        vault.close()
    print("revoked")
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
