"""What can go wrong in the worker controller, by whether trying again makes sense.

ControllerError
├── BadModelsFile        the file of models cannot be used as it is; fatal at start
├── FleetError           the backend did not do what was asked; tried again
└── ApiError             the API did not answer, or not as agreed; tried again
    └── LoginRefused     the API does not know the account; tried again, slowly
"""


class ControllerError(Exception):
    """The worker controller cannot go on as it is."""


class BadModelsFile(ControllerError):
    """The file of models cannot be used as it is."""


class FleetError(ControllerError):
    """The backend of the fleet did not do what was asked; it may later."""


class ApiError(ControllerError):
    """The API did not answer, or not as agreed."""

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class LoginRefused(ApiError):
    """The API does not know the account."""
