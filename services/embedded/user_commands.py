"""`lossline user …`: the accounts of a running platform. What the commands do is in `managing.py`."""

from pathlib import Path
from typing import Annotated

import typer

users = typer.Typer(no_args_is_help=True, help="Accounts and groups of a running platform.")

Name = Annotated[str, typer.Argument(help="Name of the account.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a random password and print it, once.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Read the password from the first line of this file; - is standard input.")
]
Groups = Annotated[list[str], typer.Option("--group", help="A group of it; may be given again.")]
Added = Annotated[list[str], typer.Option("--add", help="One more group; may be given again.")]
Removed = Annotated[list[str], typer.Option("--remove", help="A group to leave; may be given again.")]


@users.command()
def add(
    name: Name,
    group: Groups = [],  # noqa: B006 - typer reads it
    admin: Annotated[bool, typer.Option("--admin", help="Sees and changes everything.")] = False,
    staff: Annotated[bool, typer.Option("--staff", help="Administers, but sees what its groups see.")] = False,
    service: Annotated[bool, typer.Option("--service", help="For a machine; its password is generated.")] = False,
    generate: Generate = False,
    password_file: PasswordFile = None,
) -> None:
    """Make an account. The password is asked for, unless it comes from elsewhere."""
    from services.embedded.accounts import Kind
    from services.embedded.managing import Password, add_account

    kind = Kind(is_staff=staff or admin, is_superuser=admin, is_service=service)
    add_account(name, kind, group, Password(generate or (service and password_file is None), password_file))


@users.command("list")
def list_accounts(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """All accounts, what they may do, and their groups."""
    from services.embedded.managing import list_accounts as run

    run(json)


@users.command()
def passwd(name: Name, generate: Generate = False, password_file: PasswordFile = None) -> None:
    """Set a password. Whoever is logged in with the old one must log in again."""
    from services.embedded.managing import Password, set_password

    set_password(name, Password(generate, password_file))


@users.command()
def groups(
    name: Name,
    wanted: Annotated[list[str] | None, typer.Argument(help="The groups that it is to have, and no others.")] = None,
    added: Added = [],  # noqa: B006 - typer reads it
    removed: Removed = [],  # noqa: B006 - typer reads it
) -> None:
    """Show the groups of an account, or change them."""
    from services.embedded.managing import change_groups

    change_groups(name, wanted or [], added, removed)


@users.command()
def disable(name: Name) -> None:
    """Close an account: neither its password nor its tokens open anything."""
    from services.embedded.managing import set_active

    set_active(name, False)


@users.command()
def enable(name: Name) -> None:
    """Open a closed account again."""
    from services.embedded.managing import set_active

    set_active(name, True)
