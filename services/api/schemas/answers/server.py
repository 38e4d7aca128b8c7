"""The server itself: health, tokens, queues, audit, and why a request is refused. Source: oasis_api.md section 1.1."""

from marshmallow import fields

from services.api.schemas.answers.base import (
    Answer,
    StatusCount,
    anything,
    many,
    moment,
    number,
    one,
    several,
    text,
    texts,
    whole,
    yes_no,
)
from services.api.schemas.answers.files import Model
from shared.core.states import AnalysisStatus


class Health(Answer):
    """OK, or what does not answer."""

    status = text()


class Refusal(Answer):
    """Why a request is refused."""

    detail = text()


class Outage(Refusal):
    """What does not answer."""

    request_id = text("By which the log of the server knows this request")


class TokenRefusal(Refusal):
    """Why a token, or whoever wants one, is refused."""

    code = fields.String()
    messages = fields.List(fields.Dict(values=fields.String()))


class Peril(Answer):
    """A peril."""

    desc = text()


class PerilGroup(Peril):
    """A group of perils."""

    peril_ids = several(fields.String())


class PerilCodes(Answer):
    """The codes of OED."""

    peril_codes = fields.Dict(values=fields.Nested(Peril), required=True)
    peril_groups = fields.Dict(values=fields.Nested(PerilGroup), required=True)


class LoginRefusal(Answer):
    """Why a login is refused; the reference writes some with a capital."""

    detail = fields.String()
    capital_detail = fields.String(data_key="Detail")
    code = fields.String()


class ServerInfo(Answer):
    """What this server is."""

    version = text("The version of the Oasis platform whose API this is")
    config = anything()
    components = texts("Versions")


class AccessToken(Answer):
    """Tokens."""

    access_token = text()
    refresh_token = text()
    token_type = text(only=("Bearer",))
    expires_in = number("Of the access token")


class LoginTokens(AccessToken):
    """Tokens of a login at the provider."""

    id_token = text()


class Counted(Answer):
    """Whether a report was counted."""

    counted = yes_no()


class QueueModel(Model):
    """A model whose work is on a queue."""

    settings = text("A path")
    versions = text("A path")
    scaling_configuration = text("A path")
    chunking_configuration = text("A path")


class Queue(Answer):
    """A queue of sub-tasks, and who serves it."""

    name = text()
    pending_count = whole()
    queued_count = whole()
    running_count = whole()
    queue_message_count = whole()
    worker_count = whole()
    unserved_reason = text("Why nobody serves it though work waits, where that is known", nullable=True)
    models = many(QueueModel)


class QueuedAnalysis(Answer):
    """An analysis with work on a queue."""

    name = text()
    id = whole()
    portfolio = whole()
    model = whole(nullable=True)
    status = text(only=AnalysisStatus)
    priority = whole()
    analysis_chunks = whole(nullable=True)
    lookup_chunks = whole(nullable=True)
    sub_task_count = whole()
    queue_names = several(fields.String())
    status_count = one(StatusCount)


class QueueEntry(Answer):
    """An analysis of a queue; sub-tasks are never listed."""

    analysis = one(QueuedAnalysis)
    updated_tasks = several(fields.Dict())


class QueueContent(Answer):
    """A queue that is in use."""

    queue = one(Queue)
    analyses = many(QueueEntry)


class QueueStatus(Answer):
    """The message of the websocket."""

    time = moment()
    type = text()
    status = text(only=("SUCCESS",))
    version = whole()
    content = many(QueueContent)


class AuditEntry(Answer):
    """Who did what to which resource when."""

    id = whole()
    at = moment()
    user = text()
    user_id = whole(nullable=True)
    address = text()
    action = text()
    resource = text()
    resource_id = whole(nullable=True)
    path = text()
    status = whole()


class ServingWorker(Answer):
    """A worker that has been heard of lately."""

    worker_id = text()
    fleet_name = text("What the fleet that started it calls it", nullable=True)
    queue = text()
    host = text()
    slots = whole()
    free_slots = whole()
    draining = yes_no()
    first_seen = moment()
    last_seen = moment()
