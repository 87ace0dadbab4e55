"""The commands `rationale llm …`, the only ones that send texts to a language model."""

import typer

from rationale.cli.llm.ask import ask_command
from rationale.cli.llm.faithfulness import faithfulness_command

llm_app = typer.Typer(
    no_args_is_help=True,
    help="Ask a language model for labels and reasons, and again without the words it quoted.",
)
llm_app.command("ask")(ask_command)
llm_app.command("faithfulness")(faithfulness_command)
