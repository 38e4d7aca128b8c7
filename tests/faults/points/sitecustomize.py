"""Loaded by every Python process whose PYTHONPATH begins with this folder: services under test, and nothing else.

It wraps functions of the product from outside, as their modules are imported: the product has no hooks for tests.
In the folder $LOSSLINE_FAULT_POINTS a file `{point}.before` or `{point}.after` holding a number n kills the service the
n-th time that it comes there; a file `clock` holds the seconds that this process's wall clock is off. Both may come and
go while the process runs. Monotonic clocks are left alone, as a clock step leaves them.
"""

import datetime as dt
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import signal
import sys
import time
from pathlib import Path

FOLDER = os.environ.get("LOSSLINE_FAULT_POINTS", "")

WRAPPED = {
    "sqlalchemy.engine.default": {"commit": ("DefaultDialect.do_commit",)},
    "shared.broker.pika_client": {
        "publish": ("BlockingBroker.publish",),
        "reply": ("BlockingBroker.publish_unconfirmed",),
    },
    "shared.broker.pika_consumer": {"acknowledge": ("PikaConsumer.ack",)},
    "shared.broker.aio_client": {"publish": ("AsyncBroker.publish",)},
    "shared.broker.aio_consumer": {"acknowledge": ("AioConsumer.ack",)},
    "shared.object_store.directory": {"upload": ("DirectoryStore.put", "DirectoryStore.copy")},
    "shared.object_store.s3": {"upload": ("S3Store.put", "S3Store.copy")},
}
"""Module: point: functions."""

DATED = (
    "services.model_worker.attempt",
    "services.worker_monitor.recording",
    "services.worker_monitor.attempt_log",
    "services.api.views.tokens",
    "jwt.api_jwt",
)
"""Modules that ask `datetime` for the time; C code does not look at `time.time`."""


def come_to(place):
    """Die if it is this service's turn: with its whole group, as a container is killed."""
    path = Path(FOLDER, place)
    try:
        with path.open("r+", encoding="ascii") as file:
            left = int(file.read()) - 1
            file.seek(0)
            file.write(f"{left:9d}")
    except (FileNotFoundError, ValueError):
        return
    if left <= 0:
        path.unlink()
        os.killpg(os.getpgrp(), signal.SIGKILL)


def wrapped(function, point):
    """The function, with its two places."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def around(*args, **options):
            come_to(f"{point}.before")
            result = await function(*args, **options)
            come_to(f"{point}.after")
            return result
    else:

        @functools.wraps(function)
        def around(*args, **options):
            come_to(f"{point}.before")
            result = function(*args, **options)
            come_to(f"{point}.after")
            return result

    return around


def wrap(module, points):
    """Wrap the functions of a module that has just been imported."""
    for point, paths in points.items():
        for path in paths:
            owner, name = getattr(module, path.split(".")[0]), path.split(".")[1]
            setattr(owner, name, wrapped(getattr(owner, name), point))


class Loader(importlib.abc.Loader):
    """Executes a module as its own loader does, and changes it afterwards."""

    def __init__(self, loader, change):
        self._loader = loader
        self._change = change

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._change(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


class Finder(importlib.abc.MetaPathFinder):
    """Finds what is to be changed by the usual means."""

    def __init__(self, changes):
        self._changes = changes

    def find_spec(self, name, path, target=None):
        change = self._changes.get(name)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = Loader(spec.loader, change)
        return spec


_TRUE_TIME = time.time
_TRUE_DATETIME = dt.datetime


def shifted_time():
    """The wall clock, as far off as the file says."""
    try:
        return _TRUE_TIME() + float(Path(FOLDER, "clock").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return _TRUE_TIME()


class Kind(type):
    """Every datetime is one of ours, too."""

    def __instancecheck__(cls, value):
        return isinstance(value, _TRUE_DATETIME)


class ShiftedDatetime(_TRUE_DATETIME, metaclass=Kind):
    """`datetime` whose `now` is off; what it makes are plain datetimes."""

    @classmethod
    def now(cls, tz=None):
        return _TRUE_DATETIME.fromtimestamp(shifted_time(), tz)


def shift(module):
    """Give the module the other clock."""
    module.datetime = ShiftedDatetime


if FOLDER:
    time.time = shifted_time
    changes = {name: functools.partial(wrap, points=points) for name, points in WRAPPED.items()}
    sys.meta_path.insert(0, Finder(changes | dict.fromkeys(DATED, shift)))
