"""Starting one attempt: a request to a guardian, and the guardian's first word about it."""

import os
from asyncio import ReadTransport, StreamReader
from collections.abc import Callable
from contextlib import ExitStack

from services.model_worker.processes.child import Child, Output
from services.model_worker.processes.contract import ChildSpec, Refused, Started, encode_spec
from services.model_worker.processes.errors import GuardianDiedError, StartRefusedError
from services.model_worker.processes.lifeline import Lifeline
from services.model_worker.processes.pipes import memory_file, open_reader


async def start_child(lifeline: Lifeline, spec: ChildSpec, give_back: Callable[[Lifeline], None]) -> Child:
    """Have the guardian, which guards nothing, start an attempt; it is given back once the attempt has ended.

    Raises GuardianDiedError and StartRefusedError; then nothing of the step has run, and nothing is left open.
    """
    with ExitStack() as undo:
        undo.callback(lifeline.close)
        with ExitStack() as sent:
            request = memory_file(encode_spec(spec))
            sent.callback(os.close, request)
            output, transport, output_end = await _incoming(undo, sent)
            try:
                await lifeline.start((request, output_end))
            except ConnectionError as error:
                raise GuardianDiedError from error
        started = await _started(lifeline)
        undo.pop_all()
    return Child(spec.attempt, started, Output(output, transport), lifeline, give_back)


async def _incoming(undo: ExitStack, sent: ExitStack) -> tuple[StreamReader, ReadTransport, int]:
    """A pipe towards the event loop, and its writing end."""
    ours, theirs = os.pipe()
    sent.callback(os.close, theirs)
    reader, transport = await open_reader(ours)
    undo.callback(transport.close)
    return reader, transport, theirs


async def _started(lifeline: Lifeline) -> Started:
    message, _ = await lifeline.said()
    if isinstance(message, Refused):
        raise StartRefusedError(message.reason)
    if not isinstance(message, Started):
        raise GuardianDiedError
    return message
