"""The command `rationale llm ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.from_settings import from_settings
from rationale.cli.llm.options import Llm, LlmModel, Sending
from rationale.cli.options import DataPath, DatasetName, Overwrite, Split
from rationale.process.terminal import say, say_next


@from_settings()
def ask_command(  # noqa: PLR0913 (one option each)
    llm: Llm,
    llm_model: LlmModel,
    out: Annotated[Path, typer.Option(help="Folder for answers.jsonl.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only about the first N examples.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest reply in tokens.")] = 512,
    overwrite: Overwrite = False,
    *,
    sending: Sending,
) -> None:
    """Collect labels and quotes from a language model; an interrupted run resumes where it stopped."""
    from eraser.load import load
    from rationale.llm.ask import asking
    from rationale.llm.prompts import ASK, read_prompt

    loaded = load(dataset, data, split=split)
    endpoint = sending.endpoint(llm, llm_model, max_tokens=max_tokens)
    prompt = read_prompt(sending.prompt, ASK, ("text", "labels"))
    work = asking(endpoint, loaded, loaded.examples(split)[:limit], prompt, out)
    if not sending.send(work, overwrite):
        return
    say(f"{work.file}: {work.told()}")
    where = [word for o, v in (("--dataset", dataset), ("--data", data)) if v for word in (o, str(v))]
    form = ("--form", "quotes", "--name", "llm", "--out", out.with_name(f"{out.name}-explanations.jsonl"))
    say_next("explanations", "import", work.file, *form, *where, "--split", split)
