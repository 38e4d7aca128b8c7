"""Where a platform that is to be broken keeps its objects: in a directory, or on an S3 server behind wires."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.embedded.layout import Layout
from shared.object_store import ObjectStore, S3Settings
from shared.object_store.directory import DirectoryStore
from shared.object_store.s3 import S3Store
from tests.fakes.tcp_proxy import TcpProxy
from tests.object_store.s3_server import S3Cluster, s3_cluster

_BUCKET = "faults"


class Objects(Protocol):
    """An object store that can go away and come back."""

    @property
    def store(self) -> ObjectStore:
        """By which a test looks into it, whatever is broken for the services."""

    def environ(self, service: str) -> Mapping[str, str]:
        """The settings by which a service reaches it."""

    def hide(self) -> None:
        """Nobody reaches it."""

    def show(self) -> None:
        """It is back, with all that it had. May be called at any time."""


ObjectsOf = Callable[[Layout, tuple[str, ...]], AbstractContextManager[Objects]]
"""Opens them for the services of these names."""


@dataclass(frozen=True)
class Directory:
    """A share, which may not be mounted."""

    path: Path

    @property
    def store(self) -> ObjectStore:
        return DirectoryStore(self.path)

    def environ(self, _service: str) -> Mapping[str, str]:
        return {"OASIS_STORAGE_TYPE": "local-fs", "OASIS_MEDIA_ROOT": str(self.path)}

    @property
    def _away(self) -> Path:
        return self.path.with_name(f"{self.path.name}.away")

    def hide(self) -> None:
        if not self._away.exists():
            self.path.rename(self._away)

    def show(self) -> None:
        if self._away.exists():
            self._away.rename(self.path)


@contextmanager
def directory(layout: Layout, _services: tuple[str, ...]) -> Iterator[Directory]:
    """The embedded default."""
    yield Directory(layout.objects)


@dataclass(frozen=True)
class S3:
    """A real server, with a wire of its own for each service."""

    cluster: S3Cluster
    store: ObjectStore
    wires: Mapping[str, TcpProxy]

    def environ(self, service: str) -> Mapping[str, str]:
        server = self.cluster.server
        return {
            "OASIS_STORAGE_TYPE": "aws-s3",
            "OASIS_AWS_BUCKET_NAME": _BUCKET,
            "OASIS_AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.wires[service].port}",
            "OASIS_AWS_S3_REGION_NAME": "us-east-1",
            "OASIS_AWS_ACCESS_KEY_ID": server.access_key_id,
            "OASIS_AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "OASIS_AWS_AUTO_CREATE_BUCKET": "true",
        }

    def hide(self) -> None:
        for wire in self.wires.values():
            wire.refuse()

    def show(self) -> None:
        if not self.cluster.answers:
            self.cluster.restart_gateway()
        for wire in self.wires.values():
            wire.forward()


@contextmanager
def s3(_layout: Layout, services: tuple[str, ...]) -> Iterator[S3]:
    """A server for this platform alone."""
    with ExitStack() as opened:
        cluster = opened.enter_context(s3_cluster())
        server = cluster.server
        settings = S3Settings(
            bucket=_BUCKET,
            endpoint_url=server.endpoint_url,
            region="us-east-1",
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            auto_create_bucket=True,
        )
        store = opened.enter_context(S3Store(settings))
        wires = {each: opened.enter_context(TcpProxy("127.0.0.1", cluster.s3_port)) for each in services}
        yield S3(cluster, store, wires)
