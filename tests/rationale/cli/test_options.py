"""Names, kinds and defaults of all options are promised: `options.json` holds them for each command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

from tests.helpers.command_line import commands

PROMISED = Path(__file__).with_name("options.json")


def options(command):
    """Return {option or argument: [kind, default]}; the default is `needed` where there is none."""
    kinds = get_type_hints(command.callback)
    return {" ".join([*p.opts, *p.secondary_opts]): [kind(kinds[p.name]), default(p)] for p in command.params}


def kind(hint):
    return (
        str(hint).replace("typing.", "").replace("pathlib.", "").removeprefix("<class '").removesuffix("'>")
    )


def default(parameter):
    return "needed" if parameter.required else json.loads(json.dumps(parameter.default, default=str))


def test_no_option_lost_its_name_its_kind_or_its_default():
    found = {name: options(command) for name, command in commands()}
    assert found == json.loads(PROMISED.read_text(encoding="utf-8"))
