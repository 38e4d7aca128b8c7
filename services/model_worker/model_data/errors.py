"""What can go wrong with a model's data.

ModelDataError      the data cannot be had, and the worker cannot serve; it says what to do
└── DataDiffer      what the store has is not what its manifest says: it is being pushed anew, or was damaged
"""


class ModelDataError(Exception):
    """The model's data cannot be had."""


class DataDiffer(ModelDataError):
    """What the store has is not what its manifest says."""
