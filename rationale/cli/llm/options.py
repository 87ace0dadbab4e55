"""What the commands of `rationale llm` share: endpoint, cost, and confirmation before texts are sent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eraser import Fault, InputError
from rationale.process.terminal import say, say_lines

if TYPE_CHECKING:
    from rationale.llm.asking import Survey

Llm = Annotated[
    str,
    typer.Option(
        help="OpenAI-compatible endpoint, up to /v1: https://…, or http://… on this machine. "
        "Texts are sent there, and nowhere else."
    ),
]
LlmModel = Annotated[str, typer.Option(help="Name of the model there.")]


@dataclass(frozen=True)
class Sending:
    """How questions are sent."""

    temperature: Annotated[float, typer.Option(help="Temperature of the replies.")] = 0.0
    timeout: Annotated[float, typer.Option(help="Seconds until a reply must be there.")] = 120.0
    parallel: Annotated[int, typer.Option(help="Number of questions under way at a time.")] = 1
    key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the key; no key is sent if it is not set.")
    ] = "OPENAI_API_KEY"
    prices: Annotated[
        str | None,
        typer.Option(help="Prices of a million tokens of questions and of replies, as 0.15,0.60."),
    ] = None
    prompt: Annotated[
        Path | None, typer.Option(help="File with a prompt of your own, with {text} and the labels.")
    ] = None
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print the first question and send nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Send without being asked first.")] = False

    def endpoint(self, url: str, model: str, **more: Any) -> Any:
        """Return the endpoint; its key comes from the environment."""
        from rationale.llm.endpoint import Endpoint, key_from

        how = {"temperature": self.temperature, "timeout_s": self.timeout, **more}
        return Endpoint(url, model, key=key_from(self.key_variable), **how)

    def send(self, work: Survey, overwrite: bool) -> bool:
        """Ask the remaining questions after confirmation; return False if one was only to be shown.

        Earlier answers, which may have been paid for, make room only after that.
        """
        if self.show_prompt:
            say_lines(next(iter(work.questions.values())))
            return False
        if not (done := work.is_done(overwrite)):
            self.agreed(work.endpoint, work.left())
            done = work.claimed(overwrite)  # by now another run may have finished it
        if done:
            say(f"already done: {work.folder}", err=True)
        else:
            work.ask(self.parallel)
        return True

    def agreed(self, endpoint: Any, left: Mapping[str, str]) -> None:
        """Print the estimated cost and ask for confirmation.

        Raises:
            InputError: there is no terminal to ask at.
            typer.Exit: no.
        """
        from rationale.llm.asking import cost

        say(f"{endpoint.address}, model {endpoint.model}: {cost(left, endpoint, _prices(self.prices))}")
        if self.yes or not left:
            return
        if sys.stdin is None or not sys.stdin.isatty():  # None where it was closed before the start
            raise InputError(Fault.of("nothing was sent: --yes sends these questions"))
        typer.confirm("Send them?", abort=True)


def _prices(text: str | None) -> tuple[float, float] | None:
    """Return two prices."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = -1.0
    if not (0 <= low < float("inf") and 0 <= high < float("inf")):
        raise InputError(Fault("two prices, as 0.15,0.60", repr(text)))
    return low, high
