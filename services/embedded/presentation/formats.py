"""How numbers and times are written for people."""

_MINUTE, _HOUR = 60, 3600


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:  # above, one decimal would round to "10.0"
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def amount(value: float | None) -> str:
    """`1,234,568`; small ones with two decimals; `n/a` for what is not known."""
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:,.2f}"


def years(return_period: float) -> str:
    """`250`, `333.3`."""
    return f"{return_period:,.1f}".removesuffix(".0")


def count(number: int, noun: str) -> str:
    """`1 retry`, `2 retries`, `0 chunks`."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {plural}"
