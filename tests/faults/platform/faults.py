"""The faults, as data: how each is injected and healed, how long it lasts, and what may be computed again for it."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.core.retries import Cause
from tests.fakes.tcp_proxy import TcpProxy
from tests.faults.platform.launching import SERVICES, WORKERS
from tests.faults.platform.meddling import Meddler
from tests.faults.platform.objects import S3
from tests.faults.platform.platform import BrokenPlatform
from tests.faults.platform.wires import BROKER, DATABASE, WITH_DATABASE

WORKER = WORKERS[0]
_LEASE = 6.0
HOUR = 3600.0

Act = Callable[[BrokenPlatform], object]


@dataclass(frozen=True)
class Fault:
    """One way to break a platform. `lasts` in seconds, from injecting to healing.

    Sub-tasks whose attempts ended by the cause that it `costs` are computed again; nothing else is.
    """

    name: str
    happens: str
    inject: Act
    heal: Act = lambda _platform: None
    lasts: float = 0.0
    costs: Cause | None = None


def kill(service: str) -> Fault:
    """SIGKILL; a worker's death is reported."""
    costs = Cause.LOST if service in WORKERS else None
    return Fault(f"kill {service}", f"SIGKILL of the {service}", lambda platform: platform.kill(service), costs=costs)


def kill_unreported(service: str) -> Fault:
    """SIGKILL of a worker on a machine that died with it: nobody reports its death."""

    def inject(platform: BrokenPlatform) -> None:
        platform.reports_deaths = False
        platform.kill(service)

    def heal(platform: BrokenPlatform) -> None:
        platform.reports_deaths = True

    name = f"kill {service} unreported"
    return Fault(name, f"SIGKILL of the {service}, its death not reported", inject, heal, 2.0, Cause.LOST)


def pause(service: str) -> Fault:
    """SIGSTOP, then SIGCONT: a worker for longer than its lease."""
    is_worker = service in WORKERS
    return Fault(
        f"pause {service}",
        f"SIGSTOP of the {service}, later SIGCONT",
        lambda platform: platform.signal(service, signal.SIGSTOP),
        lambda platform: platform.signal(service, signal.SIGCONT),
        _LEASE + 2 if is_worker else 2.5,
        Cause.LOST if is_worker else None,
    )


def cut(service: str, to: str) -> Fault:
    """The connections are reset, and for a moment no new one is accepted."""
    return Fault(
        f"cut {service} from {to}",
        f"connections of the {service} to the {to} reset, new ones refused",
        lambda platform: platform.wires.of(service, to).refuse(),
        lambda platform: platform.wires.of(service, to).forward(),
        1.0,
    )


def blackhole(service: str, to: str) -> Fault:
    """Bytes stop, nobody is told; then the old connections are gone and new ones work."""

    def heal(platform: BrokenPlatform) -> None:
        platform.wires.of(service, to).drop_connections()
        platform.wires.of(service, to).forward()

    return Fault(
        f"blackhole {service} to {to}",
        f"no byte passes between the {service} and the {to}, then the connections are gone",
        lambda platform: platform.wires.of(service, to).blackhole(),
        heal,
        2.5,
    )


def slow_wires() -> Fault:
    """Every chunk on every wire waits."""

    def inject(platform: BrokenPlatform) -> None:
        for proxy in platform.wires.proxies.values():
            proxy.delay(0.05)

    return Fault("slow wires", "50 ms on every wire", inject, lambda platform: platform.wires.forward(), 3.0)


def shift_clocks(seconds: float) -> Fault:
    """The wall clocks of all services but one worker step; that one and the database keep the time."""
    way = "forward" if seconds > 0 else "back"
    services = (*WITH_DATABASE, WORKER)

    def shift(platform: BrokenPlatform, to: float) -> None:
        for service in services:
            platform.points.set_clock(service, to)

    return Fault(
        f"clocks {way}",
        f"wall clocks of all services but a worker step {way} by {abs(seconds) / HOUR:g} h, and later return",
        lambda platform: shift(platform, seconds),
        lambda platform: shift(platform, 0.0),
        2.0,
    )


def meddle(seed: int) -> Fault:
    """Messages are lost, doubled and reordered for a while."""
    happens = "messages on the queues lost, doubled and reordered"
    return Fault(f"meddle {seed}", happens, Meddler(seed).meddle)


def die_at(service: str, point: str, side: str, turn: int) -> Fault:
    """SIGKILL just before or after a commit, a publication, an acknowledgement or an upload."""
    return Fault(
        f"{service} dies {side} {point} {turn}",
        f"SIGKILL of the {service} {side} its {point} number {turn} from then on",
        lambda platform: platform.points.arm(service, point, side, turn),
        costs=Cause.LOST if service in WORKERS else None,
    )


def _restart_broker(platform: BrokenPlatform) -> None:
    platform.broker.restart()


def _kill_broker(platform: BrokenPlatform) -> None:
    platform.broker.kill()


def _start_broker(platform: BrokenPlatform) -> None:
    if platform.broker.pid is None:
        platform.broker.restart()


def _start_database(platform: BrokenPlatform) -> None:
    if platform.postgres.pid is None:
        platform.postgres.restart()


SERVERS = (
    Fault("restart RabbitMQ", "RabbitMQ stops in order and starts again", _restart_broker),
    Fault("kill RabbitMQ", "SIGKILL of RabbitMQ, started again", _kill_broker, _start_broker, 1.0),
    Fault("wipe RabbitMQ", "RabbitMQ loses all that it had", BrokenPlatform.wipe_broker, _start_broker, 1.0),
    Fault("restart PostgreSQL", "PostgreSQL stops in order and starts again", lambda each: each.postgres.restart()),
    Fault("kill PostgreSQL", "SIGKILL of PostgreSQL", lambda each: each.postgres.kill(), _start_database, 1.0),
    Fault(
        "object store gone",
        "nobody reaches the object store: its share is not mounted, its server refuses",
        lambda each: each.launch.objects.hide(),
        lambda each: each.launch.objects.show(),
        2.5,
        Cause.STORAGE,
    ),
)


def s3_faults() -> tuple[Fault, ...]:
    """What only a platform with its objects on an S3 server can suffer."""

    def server(platform: BrokenPlatform) -> S3:
        assert isinstance(platform.launch.objects, S3)
        return platform.launch.objects

    def mend(platform: BrokenPlatform) -> None:
        platform.launch.objects.show()

    def wire(service: str, happens: str, act: Callable[[TcpProxy], None], lasts: float) -> Fault:
        name = f"{happens} {service} and the S3 server"
        return Fault(name, name, lambda each: act(server(each).wires[service]), mend, lasts, Cause.STORAGE)

    killed = Fault(
        "kill the S3 server",
        "SIGKILL of the S3 server, started again",
        lambda platform: server(platform).cluster.kill_gateway(),
        mend,
        1.0,
        Cause.STORAGE,
    )
    users = ("api", "worker-monitor", WORKER)
    cuts = (wire(each, "refuse connections between", TcpProxy.refuse, 2.0) for each in users)
    holes = (wire(each, "hold all bytes between", TcpProxy.blackhole, 2.0) for each in users)
    slow = wire(WORKER, "delay every byte between", lambda proxy: proxy.delay(0.05), 2.0)
    return (killed, *cuts, *holes, slow)


_CUT = (*((service, DATABASE) for service in WITH_DATABASE), *((each, BROKER) for each in SERVICES if each != "api"))

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        *(kill(service) for service in (*WITH_DATABASE, WORKER)),
        kill_unreported(WORKER),
        *(pause(service) for service in (*WITH_DATABASE, WORKER)),
        *SERVERS,
        *(
            fault
            for service, to in _CUT
            if service != WORKERS[1]
            for fault in (cut(service, to), blackhole(service, to))
        ),
        slow_wires(),
        meddle(1),
        shift_clocks(HOUR),
        shift_clocks(-HOUR),
    )
}
"""Every single fault by its name. Both workers are alike: one of them stands for both."""
