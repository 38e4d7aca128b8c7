"""`lossline model-data …`: data of models in the model storage. What the command does is in `pushing.py`."""

import os
from pathlib import Path
from typing import Annotated

import typer

model_data = typer.Typer(no_args_is_help=True, help="Data of models in the object store that workers fetch them from.")

Given = "Default: what the directory's model settings say."


@model_data.callback()
def _group() -> None:
    """With one command typer would leave its name out."""


@model_data.command()
def push(
    directory: Annotated[Path, typer.Argument(help="The model's directory, as it would be mounted.")],
    supplier: Annotated[str | None, typer.Option(help=f"Who supplies the model. {Given}")] = None,
    model: Annotated[str | None, typer.Option(help=f"The model. {Given}")] = None,
    version: Annotated[str | None, typer.Option(help=f"Its version. {Given}")] = None,
    anew: Annotated[bool, typer.Option("--all", help="Upload also what its manifest says is there.")] = False,
) -> None:
    """Upload a model's directory with a manifest of SHA-256; what is there already is left out."""
    from services.embedded.pushing import push as run

    run(directory, (supplier, model, version), os.environ, typer.echo, anew=anew)
