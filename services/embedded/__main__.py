"""The `lossline` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.embedded.errors import EmbeddedError
from services.embedded.model_data_commands import model_data
from services.embedded.user_commands import users
from shared.core.plan import RunMode

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
parked = typer.Typer(no_args_is_help=True, help="Messages that could not be read: look at them, replay or drop them.")
app.add_typer(parked, name="parked")
app.add_typer(users, name="user")
app.add_typer(model_data, name="model-data")

Models = Annotated[list[Path], typer.Option("--model", help="Model directory; may be given again. Default: CoastWind.")]
Workers = Annotated[int, typer.Option(min=1, help="Workers per model.")]
MODE = "V2: in chunks, by many workers. V1: undivided, by one worker on every core."
Modes = Annotated[
    list[RunMode], typer.Option("--run-mode", case_sensitive=False, help=f"{MODE} Give both for workers of both.")
]
Scale = Annotated[bool, typer.Option("--scale", help="Workers come and go with the work, up to --workers per model.")]
ONE = "Its number in the list, its id, or how that begins."
Chosen = Annotated[list[str] | None, typer.Argument(help="Numbers or ids of messages.")]
Everything = Annotated[bool, typer.Option("--all", help="All parked messages.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the API on 127.0.0.1.")]

WebsocketPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of the websocket server. Default: the API's, and one.")
]


Archive = Annotated[Path, typer.Argument(help="The archive, a tar file; - is standard output, or input.")]
Patience = Annotated[float, typer.Option(min=0, help="Seconds that database, store and broker have to come up.")]


@app.command()
def up(
    model: Models = [],  # noqa: B006 - typer reads it
    workers: Workers = 1,
    scale: Scale = False,
    port: Port = 8000,
    websocket_port: WebsocketPort = None,
    run_mode: Modes = [RunMode.V2],  # noqa: B006 - typer reads it
) -> None:
    """Run every service on this machine, in the foreground. Ctrl-C stops everything."""
    from services.embedded.commands import up as run

    modes = tuple(dict.fromkeys(run_mode))
    run(model, workers, port, websocket_port, Console(stderr=False), modes, scale=scale)


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
    run_mode: Annotated[RunMode, typer.Option(case_sensitive=False, help=MODE)] = RunMode.V2,
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
    run(DemoOptions(model, files, settings, lookup_chunks, analysis_chunks, workers, out, run_mode), Console())


@app.command()
def doctor(
    api: Annotated[str | None, typer.Option(help="Address of the API, where no variable names it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Say what is wrong with a running platform, and what to do. Exit status 0 when nothing is, else 1."""
    from services.embedded.operating import doctor as run

    raise typer.Exit(run(api, json, Console()))


@app.command("prepare")
def make_ready(patience: Patience = 60) -> None:
    """Make ready what the variables of the services name: schema, bucket, queues. Before services of a new version."""
    from services.embedded.preparing import prepare

    prepare(os.environ, patience, typer.echo)


@app.command("backup")
def back_up(file: Archive) -> None:
    """Write database and object store of a platform into one archive."""
    from services.embedded.archiving import backup_to

    backup_to(file)


@app.command("restore")
def restore(
    file: Archive,
    replace: Annotated[bool, typer.Option("--replace", help="Remove the data that are there, for good.")] = False,
) -> None:
    """Read an archive of `lossline backup` into a platform whose services do not run."""
    from services.embedded.archiving import restore_from

    restore_from(file, replace)


@parked.command("list")
def list_parked(limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 50) -> None:
    """What is parked: number, id, the queue that it came from, and the reason."""
    from services.embedded.operating import list_parked as run

    raise typer.Exit(run(limit, Console()))


@parked.command("show")
def show_parked(
    which: Annotated[str, typer.Argument(help=ONE)],
    raw: Annotated[bool, typer.Option("--raw", help="Write the very bytes of the body, and nothing else.")] = False,
) -> None:
    """One parked message as a whole."""
    from services.embedded.operating import show_parked as run

    raise typer.Exit(run(which, raw, Console()))


@parked.command("replay")
def replay_parked(which: Chosen = None, everything: Everything = False) -> None:
    """Publish messages again to the queue that they came from. What cannot be published stays parked."""
    from services.embedded.operating import replay_parked as run

    raise typer.Exit(run(which or [], everything, Console()))


@parked.command("drop")
def drop_parked(
    which: Chosen = None,
    everything: Everything = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop for good; else it is only said what would be.")] = False,
) -> None:
    """Remove messages for good."""
    from services.embedded.operating import drop_parked as run

    raise typer.Exit(run(which or [], everything, yes, Console()))


def complain(sentence: str) -> None:
    """Say on standard error what went wrong."""
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    """The command's exit status; 1 with one sentence for what went wrong, 130 after Ctrl-C."""
    try:
        # Without its standalone mode, typer returns the status of an Exit.
        status = app(standalone_mode=False)
    except EmbeddedError as error:
        complain(str(error))
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except typer.TyperException as error:  # what was asked for makes no sense; help that is shown has no message
        if message := error.format_message().rstrip("."):
            complain(f"{message}. See `lossline --help`.")
        return error.exit_code
    return status if isinstance(status, int) else os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
