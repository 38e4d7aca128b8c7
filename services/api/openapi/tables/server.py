"""Health, tokens, queues, audit."""

from services.api.openapi.operations import Body, Operation, Parameter, Shape, json_of, listed
from services.api.openapi.parameters import filters
from services.api.openapi.tables.crud import Operations
from services.api.schemas.answers import server as answers
from services.api.schemas.requests import CodeBody, LogInBody, ReportBody, RevocationBody, SessionTokenBody
from services.api.views import audit

_FORM = ("application/json", "application/x-www-form-urlencoded")

SERVER: dict[str, Operations] = {
    "healthcheck/": {"GET": Operation(Shape(answers.Health))},
    "healthcheck_connections/": {"GET": Operation(Shape(answers.Health), status=(200, 503))},
    "oed_peril_codes/": {"GET": Operation(Shape(answers.PerilCodes))},
    "server_info/": {"GET": Operation(Shape(answers.ServerInfo))},
    "access_token/": {
        "POST": Operation(Shape(answers.AccessToken), json_of(LogInBody, media=_FORM), refusals=(401, 429)),
    },
    "refresh_token/": {"POST": Operation(Shape(answers.AccessToken), refusals=(400, 401))},
    "revoke_token/": {"POST": Operation(None, json_of(RevocationBody, required=False), status=(204,), refusals=(401,))},
    "oidc/authorize/": {"GET": Operation(status=(302,), parameters=(Parameter("next"),), refusals=(400,))},
    "oidc/callback/": {
        "GET": Operation(status=(302,), parameters=(Parameter("code"), Parameter("state")), refusals=(400, 401)),
        "POST": Operation(Shape(answers.LoginTokens), json_of(CodeBody, media=_FORM), refusals=(401,)),
    },
    "oidc/session_token/": {
        "POST": Operation(Shape(answers.LoginTokens), json_of(SessionTokenBody, media=_FORM), refusals=(401,))
    },
    "oidc/logout/": {"GET": Operation(status=(302,), parameters=(Parameter("id_token_hint"),), refusals=(400,))},
    "analysis-status/": {
        "POST": Operation(Shape(answers.Counted), Body(Shape(ReportBody), media=_FORM), refusals=(403, 429))
    },
    "queue/": {"GET": Operation(Shape(answers.Queue, many=True))},
    "queue-status/": {"GET": Operation(Shape(answers.QueueStatus))},
    "workers/": {"GET": Operation(Shape(answers.ServingWorker, many=True))},
    "audit/": {"GET": listed(answers.AuditEntry, filters=filters(audit.FILTERS))},
}
