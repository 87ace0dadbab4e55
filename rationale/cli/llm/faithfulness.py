"""The command `rationale llm faithfulness`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.from_settings import from_settings
from rationale.cli.llm.options import Llm, LlmModel, Sending
from rationale.cli.options import DataPath, DatasetName, Overwrite, Split
from rationale.process.terminal import digits, say, say_lines, say_next


@from_settings()
def faithfulness_command(  # noqa: PLR0913 (one option each)
    llm: Llm,
    llm_model: LlmModel,
    out: Annotated[Path, typer.Option(help="Folder for the answers and llm_scores.csv.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Run of `evaluate`: what all its methods picked at its first rationale length."),
    ] = None,
    explanations: Annotated[
        list[Path] | None,
        typer.Option(help="Explanations file that picks words, in place of a run; may be repeated."),
    ] = None,
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only about the first N examples.")] = None,
    logprobs: Annotated[
        bool, typer.Option("--logprobs/--no-logprobs", help="Ask for the probabilities of labels too.")
    ] = True,
    max_tokens: Annotated[int, typer.Option(help="Longest reply in tokens.")] = 8,
    overwrite: Overwrite = False,
    *,
    sending: Sending,
) -> None:
    """Ask a language model again without the words of each rationale, and with only these."""
    from eraser.load import load
    from rationale.llm.faithfulness import trial
    from rationale.llm.prompts import CLASSIFY, read_prompt
    from rationale.llm.rationales import of_explanations, of_run

    if (run is None) == (not explanations):
        raise typer.BadParameter("is needed, or --explanations, one of the two", param_hint="--run")
    loaded = load(dataset, data, split=split)
    texts = {e.id: loaded.text(e) for e in loaded.examples(split)}
    found = of_explanations(explanations or (), texts) if run is None else of_run(run, texts)
    endpoint = sending.endpoint(llm, llm_model, max_tokens=max_tokens, logprobs=logprobs)
    prompt = read_prompt(sending.prompt, CLASSIFY, ("text", "choices"))
    work = trial(endpoint, loaded, loaded.examples(split)[:limit], found, prompt, out)
    if not sending.send(work, overwrite):
        return
    results = work.write()
    table = results.scores.pivot(index="method", columns="metric", values="value")
    say_lines(table.to_string(float_format=digits))
    for note in results.notes():
        say(f"note: {note}")
    say(f"written: {out}; intervals in llm_scores.csv, paired differences in llm_paired.csv")
    if run is not None:
        say_next("app", "--run", run)
    else:
        say_next("evaluate", *(w for f in explanations or () for w in ("--explanations", f)))
