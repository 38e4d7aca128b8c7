"""The `lossline` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.embedded.errors import EmbeddedError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Models = Annotated[list[Path], typer.Option("--model", help="Model directory; may be given again. Default: CoastWind.")]
Workers = Annotated[int, typer.Option(min=1, help="Workers per model.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the API on 127.0.0.1.")]


@app.command()
def up(model: Models = [], workers: Workers = 1, port: Port = 8000) -> None:  # noqa: B006 - typer reads it
    """Run every service on this machine, in the foreground. Ctrl-C stops everything."""
    from services.embedded.commands import up as run

    run(model, workers, port, Console(stderr=False))


@app.command()
def demo(
    model: Annotated[Path | None, typer.Option(help="Model directory. Default: the example model CoastWind.")] = None,
    location: Annotated[Path | None, typer.Option(help="Location file (OED).")] = None,
    accounts: Annotated[Path | None, typer.Option(help="Accounts file (OED).")] = None,
    ri_info: Annotated[Path | None, typer.Option(help="Reinsurance info file (OED).")] = None,
    ri_scope: Annotated[Path | None, typer.Option(help="Reinsurance scope file (OED).")] = None,
    settings: Annotated[Path | None, typer.Option(help="Analysis settings (JSON).")] = None,
    lookup_chunks: Annotated[int | None, typer.Option(min=1, help="Chunks of the keys lookup.")] = None,
    analysis_chunks: Annotated[int | None, typer.Option(min=1, help="Chunks of the loss calculation.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for outputs and report.")] = Path("lossline-demo"),
) -> None:
    """Run a portfolio through a model: live progress, the losses, a report. Leaves nothing running."""
    from services.embedded.commands import DemoOptions
    from services.embedded.commands import demo as run

    given = {
        "location_file": location,
        "accounts_file": accounts,
        "reinsurance_info_file": ri_info,
        "reinsurance_scope_file": ri_scope,
    }
    files = {name: path for name, path in given.items() if path is not None}
    run(DemoOptions(model, files, settings, lookup_chunks, analysis_chunks, workers, out), Console())


def main() -> int:
    """Exit status 0, 1 with one sentence for what went wrong, 130 after Ctrl-C."""
    try:
        app(standalone_mode=False)
    except EmbeddedError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        import click

        if isinstance(error, click.ClickException):
            error.show()
            return error.exit_code
        raise
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
