"""The cleanup-* sub-tasks: the supervisor removes the intermediate objects of a phase itself, without a step."""

from shared.core.plan import PORTFOLIO_PHASES, Phase, storage_prefix
from shared.messages.catalogue import Grant
from shared.object_store import ObjectStore

CLEANUP_STEPS = frozenset(
    {
        "cleanup-input-generation",
        "cleanup-losses-generation",
        "cleanup-validation",
        "cleanup-exposure-run",
        "cleanup-transform",
    }
)


def remove_objects(store: ObjectStore, grant: Grant) -> int:
    """Remove what the steps of the phase have left; returns how many objects.

    Settings that a hook has edited are still read by the losses of the same run, and go with those.
    """
    prefix = storage_prefix(Phase(grant.phase), grant.owner_id, grant.run_uuid)
    if grant.phase in PORTFOLIO_PHASES:
        return store.delete_prefix(prefix)
    if grant.phase == Phase.LOSSES:
        inputs = storage_prefix(Phase.INPUTS, grant.owner_id, grant.run_uuid)
        return store.delete_prefix(prefix) + store.delete_prefix(inputs)
    kept = grant.files.get("settings_file")
    keys = [info.key for info in store.list(prefix) if kept is None or info.key != kept.key]
    for key in keys:
        store.delete(key)
    return len(keys)
