"""`apothecary clients`: who gets access tokens from a server with authorization."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from apothecary.errors import StartError
from apothecary.settings import Settings

_FOLDER = click.option("--clients", "folder", metavar="FOLDER", help="The folder of the clients.")
# What a name becomes as an id and the name of a file.
_PLAIN = re.compile(r"[^a-z0-9]+")


@click.group()
def clients() -> None:
    """Make and check the clients that get access tokens from a server with APOTHECARY_AUTHORIZATION=smart."""


@clients.command()
@_FOLDER
def check(folder: str | None) -> None:
    """Check the files of all clients, and list them.

    The status is 0 where they are sound, 2 where one is not: each fault is told at its place.
    """
    from apothecary.access.clients import Clients

    path = Path(Settings.from_environment(clients=folder).clients)
    if not path.is_dir():
        raise StartError(f"there is no folder {path}; `apothecary clients new NAME` makes it")
    known = Clients(path)
    for one in known:
        where = f"keys at {one.remote.url}" if one.remote else f"keys {', '.join(str(key.kid) for key in one.keys)}"
        click.echo(f"{one.id}: {one.name}; {one.scopes}; {where}")
    click.echo(f"{len(known)} client{'s' * (len(known) != 1)}", err=True)


@clients.command()
@click.argument("name")
@_FOLDER
@click.option("--id", "client_id", metavar="ID", help="Its client_id; of the name where it is not given.")
@click.option(
    "--scope", "scopes", multiple=True, default=("system/*.rs",), show_default=True, help="What it may do; repeatable."
)
@click.option("--algorithm", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True)
@click.option(
    "--key",
    "place",
    metavar="FILE",
    default="-",
    help="Where the private key is written, which the client needs and the server never sees; - for standard output.",
)
def new(
    name: str, folder: str | None, client_id: str | None, scopes: tuple[str, ...], algorithm: str, place: str
) -> None:
    """Make a key pair for a client, and the file by which the server knows it.

    The private key is written as a JSON Web Key Set. Nobody else can read its file.
    """
    import json

    from joserfc.jwk import ECKey, KeyParameters, RSAKey

    from apothecary.access.clients import read_client
    from apothecary.access.criteria import check
    from apothecary.access.scopes import Scopes

    try:
        check(Scopes.parse(scopes))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scope") from error
    identity = client_id or _PLAIN.sub("-", name.lower()).strip("-")
    stem = _PLAIN.sub("-", identity.lower()).strip("-")[:100]
    if not stem:
        raise click.BadParameter("name it with letters or digits, or give it an --id", param_hint="NAME")
    path = Path(Settings.from_environment(clients=folder).clients) / f"{stem}.yaml"
    use: KeyParameters = {"use": "sig", "alg": algorithm}
    key = (
        ECKey.generate_key("P-384", use, auto_kid=True)
        if algorithm == "ES384"
        else RSAKey.generate_key(3072, use, auto_kid=True)
    )
    public = json.dumps(key.as_dict(private=False))
    lines = [
        f"id: {json.dumps(identity)}",
        f"name: {json.dumps(name, ensure_ascii=False)}",
        f"scopes: {json.dumps(scopes)}",
        "# Its public key. The private one belongs to the client alone.",
        f"jwks: {{keys: [{public}]}}",
        "",
    ]
    # In the form that clients take; some look for `key_ops`, too.
    private = json.dumps({"keys": [key.as_dict(private=True, key_ops=["sign"])]}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, "\n".join(lines), 0o644)
        try:
            read_client(path)
            if place == "-":
                sys.stdout.write(private)
            else:
                _write(Path(place), private, 0o600)
        except BaseException:
            path.unlink()
            raise
    except FileExistsError as error:
        raise StartError(f"{error.filename} is there already: it is left as it is") from error
    except OSError as error:
        raise StartError(f"{error.filename} cannot be written: {error.strerror}") from error
    where = "" if place == "-" else f"; its private key is in {place}"
    click.echo(f"{path}: client {identity} may {' '.join(scopes)}{where}", err=True)


def _write(path: Path, text: str, mode: int) -> None:
    """A new file, which from its first byte on is for those only who may read it. Raises OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
