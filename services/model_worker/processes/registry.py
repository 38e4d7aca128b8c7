"""Which steps a worker executes."""

REGISTRY_VARIABLE = "LOSSLINE_STEPS"
"""Names the module whose `STEPS` a worker executes; benchmarks and tests have their own."""

REGISTRY = "services.model_worker.steps.registry"
"""The steps that call oasislmf. Importing it imports oasislmf."""
