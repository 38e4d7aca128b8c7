"""Where the API and the websocket server are, by the reference's names. Source: oasis_api.md section 7.4. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Addresses:
    """Hosts as they are written in settings: perhaps with a port of their own, perhaps with a path behind."""

    api_host: str = "localhost"
    api_port: str = "8000"
    api_path: str = ""
    websocket_host: str = "localhost"
    websocket_port: str = "8001"
    secure: bool = False

    @property
    def api(self) -> str:
        """The API's address, with a slash at its end."""
        place = _joined(self.api_host, self.api_port, self.api_path)
        return f"{'https' if self.secure else 'http'}://{place}/"

    @property
    def websocket(self) -> str:
        """Where the queue status is told. A host that ends with `/ws` is a proxy's and stands for that path."""
        place = _joined(self.websocket_host, self.websocket_port, "").removesuffix("/ws")
        return f"{'wss' if self.secure else 'ws'}://{place}/ws/v2/queue-status/"


def _joined(host: str, port: str, path: str) -> str:
    name, _, behind = host.strip("/").partition("/")
    return "/".join(part for part in (f"{name}:{port}" if port else name, behind, path.strip("/")) if part)
