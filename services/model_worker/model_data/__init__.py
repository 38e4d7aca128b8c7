"""A model's data where they are not mounted: fetched from the object store, once for each host."""

from services.model_worker.model_data.errors import ModelDataError
from services.model_worker.model_data.providing import provided_model

__all__ = ["ModelDataError", "provided_model"]
