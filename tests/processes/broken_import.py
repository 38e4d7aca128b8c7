"""A module that cannot be imported."""

raise RuntimeError("this model is not licensed")
