"""Which steps a worker executes."""

REGISTRY_VARIABLE = "LOSSLINE_STEPS"
"""Names the module whose `STEPS` a worker executes; benchmarks and tests have their own."""

SERVER_REGISTRY = "services.model_worker.server_steps.registry"
"""The steps of the internal worker, which call oasislmf and ods-tools without a model."""

REGISTRY = "services.model_worker.steps.registry"
"""The steps that call oasislmf. Importing it imports oasislmf."""
