"""The sub-tasks of the internal worker: work with oasislmf and ods-tools that needs no model."""
