"""The ``spanhouse-collector`` command. Each part is imported only by the command that runs it."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from spanhouse_collector import __version__
from spanhouse_collector.config import PROXY_SETTINGS, load, parse_upstreams
from spanhouse_collector.errors import CollectorError
from spanhouse_collector.policy.commands import add_keys_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return int(options.run(options) or 0)
    except CollectorError as error:
        print(f"spanhouse-collector: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanhouse-collector", description="Spanhouse's part beside applications and GPUs."
    )
    parser.add_argument("--version", action="version", version=f"spanhouse-collector {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    proxy = commands.add_parser(
        "proxy", help="log calls to LLM providers", description="Pass calls to LLM providers through and record them."
    )
    for setting in PROXY_SETTINGS:
        text = f"{setting.help} Default: {setting.default or 'empty'}; environment: {setting.env}"
        metavar = setting.unit.split(" ")[0].upper()
        proxy.add_argument(setting.flag, dest=setting.name, metavar=metavar, help=text)
    proxy.add_argument(
        "--upstream",
        "--proxy-upstream",
        dest="more_upstreams",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="add or replace an upstream; may be given again",
    )
    proxy.set_defaults(run=_proxy)
    add_keys_parser(commands)
    return parser


def _proxy(options: argparse.Namespace) -> int:
    from spanhouse_collector.proxy.alone import serve

    settings = load({setting.name: getattr(options, setting.name) for setting in PROXY_SETTINGS})
    if options.more_upstreams:
        import json

        merged = parse_upstreams(settings.proxy_upstreams, options.more_upstreams)
        settings.values["proxy_upstreams"] = json.dumps(merged)
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
