"""Flags that several verbs share."""

from __future__ import annotations

import argparse
import os
from typing import Any

from kinfold.settings import Settings, load, settings_fields

Subparsers = Any
"""What `add_subparsers` gives; argparse keeps its type to itself."""


def verb(
    subparsers: Subparsers, name: str, words: str, *, examples: str, sections: tuple[str, ...]
) -> argparse.ArgumentParser:
    """A parser for one verb, with its examples and the settings it heeds as flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser, sections)
    return parser


def add_settings(parser: argparse.ArgumentParser, sections: tuple[str, ...]) -> None:
    """Add `--settings FILE` and a flag for each setting of the sections."""
    group = parser.add_argument_group(
        "settings", "also as KINFOLD_SECTION_NAME in the environment or in the settings file"
    )
    group.add_argument("--settings", metavar="FILE", dest="setting:settings", help="a TOML file")
    for key, setting in settings_fields():
        section = key.partition(".")[0]
        if section not in sections:
            continue
        flag = "--home" if key == "home.dir" else "--" + key.replace(".", "-").replace("_", "-")
        if section == "home" and key != "home.dir":
            flag = "--" + key.partition(".")[2]
        default = setting.default if setting.default != "" else "none"
        words = f"{setting.metadata['words']} (default: {default})"
        group.add_argument(flag, metavar="V", dest=f"setting:{key}", help=words)


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that flags, environment and file give.

    Raises:
        SettingsError: with every problem at once.
    """
    flags = {
        name.partition(":")[2]: value
        for name, value in vars(args).items()
        if name.startswith("setting:")
    }
    return load(flags, os.environ)
