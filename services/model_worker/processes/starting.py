"""Starting one attempt: three pipes, one request, and the guardian's first line."""

import os
from asyncio import ReadTransport, StreamReader
from contextlib import ExitStack

from services.model_worker.processes.child import Child, Pipes
from services.model_worker.processes.contract import ChildSpec, Refused, Started, decode_message, encode_spec
from services.model_worker.processes.errors import ForkServerDiedError, StartRefusedError
from services.model_worker.processes.pipes import memory_file, open_reader
from services.model_worker.processes.server_process import ServerProcess


async def start_child(server: ServerProcess, spec: ChildSpec) -> Child:
    """Raises ForkServerDiedError and StartRefusedError; then nothing of the step has run, and nothing is left open."""
    with ExitStack() as undo:
        with ExitStack() as sent:
            request = memory_file(encode_spec(spec))
            sent.callback(os.close, request)
            lifeline, cut = _lifeline(undo, sent)
            output, output_transport, output_end = await _incoming(undo, sent)
            status, status_transport, status_end = await _incoming(undo, sent)
            await server.request((request, cut, output_end, status_end))
        started = _started(await status.readline())
        undo.pop_all()
    return Child(spec.attempt, started, Pipes(lifeline, output, status, (output_transport, status_transport)))


def _lifeline(undo: ExitStack, sent: ExitStack) -> tuple[int, int]:
    """The writing end, which never leaves this process (os.pipe makes it close-on-exec), and the guardian's end."""
    theirs, ours = os.pipe()
    undo.callback(os.close, ours)
    sent.callback(os.close, theirs)
    os.set_blocking(ours, False)
    return ours, theirs


async def _incoming(undo: ExitStack, sent: ExitStack) -> tuple[StreamReader, ReadTransport, int]:
    """A pipe towards the event loop, and its writing end."""
    ours, theirs = os.pipe()
    sent.callback(os.close, theirs)
    reader, transport = await open_reader(ours)
    undo.callback(transport.close)
    return reader, transport, theirs


def _started(line: bytes) -> Started:
    message = decode_message(line) if line.endswith(b"\n") else None
    if isinstance(message, Refused):
        raise StartRefusedError(message.reason)
    if not isinstance(message, Started):
        raise ForkServerDiedError
    return message
