"""Whether object store and API answer, and what space is left on the disks."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

from services.embedded.doctor.facts import FileSystem, Unreachable
from services.embedded.layout import Layout
from shared.object_store import DirectorySettings, ObjectStoreError, ObjectStoreSettings, open_object_store
from shared.tls import usual_authorities

_PATIENCE = 5.0


def store_problem(settings: ObjectStoreSettings) -> Unreachable | None:
    """Why the object store cannot be used."""
    try:
        with open_object_store(settings) as store:
            store.check()
    except ObjectStoreError as error:
        return Unreachable("object store", store_place(settings), str(error))
    return None


def store_place(settings: ObjectStoreSettings) -> str:
    """Where the objects are: a folder, or a bucket and its server."""
    backend = settings.backend
    return str(backend.root) if isinstance(backend, DirectorySettings) else f"{backend.endpoint_url}/{backend.bucket}"


def api_problem(url: str, authorities: str | None = None) -> Unreachable | None:
    """Why the API is not well; it looks at its own connections for it."""
    return _http_problem("API", url, "healthcheck_connections/", authorities)


def websocket_problem(url: str, authorities: str | None = None) -> Unreachable | None:
    """Why the websocket server is not well."""
    return _http_problem("websocket server", url, "healthcheck/", authorities)


def _http_problem(part: str, url: str, path: str, authorities: str | None) -> Unreachable | None:
    address = f"{url.rstrip('/')}/{path}"
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = authorities or usual_authorities()
            answer = session.get(address, timeout=_PATIENCE)
    except requests.RequestException as error:
        return Unreachable(part, url, _brief(error))
    if answer.ok:
        return None
    return Unreachable(part, url, f"it answers with status {answer.status_code}: {answer.text[:200].strip()}")


def folders_of(store: ObjectStoreSettings, layout: Layout | None) -> dict[str, Path]:
    """The folders of this machine that a platform fills, by what they are for."""
    objects = {"objects": store.backend.root} if isinstance(store.backend, DirectorySettings) else {}
    own = {"logs": layout.logs, "database, broker and attempts": layout.home} if layout else {}
    return {**objects, **own}


def file_systems(folders: Mapping[str, Path]) -> tuple[FileSystem, ...]:
    """The file systems of those folders that are there; folders on the same one are told of together."""
    by_device: dict[int, list[tuple[str, Path]]] = {}
    for name, path, device in _devices(folders):
        by_device.setdefault(device, []).append((name, path))
    return tuple(_file_system(places) for places in by_device.values())


def _devices(folders: Mapping[str, Path]) -> Iterator[tuple[str, Path, int]]:
    for name, path in folders.items():
        # A folder that is missing is the finding of the object store's own check.
        if path.is_dir():
            yield name, path, path.stat().st_dev


def _file_system(places: list[tuple[str, Path]]) -> FileSystem:
    usage = shutil.disk_usage(places[0][1])
    return FileSystem(tuple(f"{path} ({name})" for name, path in places), usage.free, usage.total)


def _brief(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not trusted ({error}): does OASIS_API_SSL_CA_CERTS name who has signed it?"
    if isinstance(error, requests.ConnectionError):
        return "nothing answers there"
    if isinstance(error, requests.Timeout):
        return f"it does not answer within {_PATIENCE:g} s"
    return str(error)
