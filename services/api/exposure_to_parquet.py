"""Reads an exposure file as models do, and writes it as parquet: `ARGUMENT SOURCE TARGET [OED-VERSION]`.

A program of its own: what it imports and what it holds in memory, the whole file, is gone when it ends.
"""

import json
import sys

REFUSED = 3
"""Exit status where the file cannot be read; standard output then has the reason as JSON: `detail`, `exception`."""


def main(argument: str, source: str, target: str, version: str | None = None) -> int:
    """`argument` is what `OedExposure` calls this kind of file: location, account, ri_info, ri_scope."""
    from ods_tools.oed import OedExposure

    try:
        exposure = OedExposure(**{argument: source, "oed_schema_info": version})
        getattr(exposure, argument).dataframe.to_parquet(target, index=False)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the file makes the library raise is what is wrong with it
        json.dump({"detail": str(error), "exception": type(error).__name__}, sys.stdout)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
