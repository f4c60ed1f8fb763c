"""Numbers as Grafana writes them, for the units that the dashboard uses.

Nothing is drawn here. A unit that is not known raises: a wrong one would look right.
"""

_SECONDS = ((3_600, " hours"), (60, " mins"), (1, " s"), (1e-3, " ms"), (0, " s"))
_SHORT = ((1e6, " Mil"), (1e3, " K"), (0, ""))
_UNITS = {
    "none": ((0, ""),),
    "short": _SHORT,
    "s": _SECONDS,
    "ops": tuple((size, f"{name} ops/s") for size, name in _SHORT),
    "reqps": tuple((size, f"{name} req/s") for size, name in _SHORT),
    "cpm": tuple((size, f"{name} c/m") for size, name in _SHORT),
    "percentunit": ((0.01, "%"), (0, "%")),
}
_THREE_DIGITS = 100


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value in its unit, with so many decimals, else with three digits that count.

    Raises:
        KeyError: it is a unit that the dashboard had no use for until now.
    """
    size, name = next(each for each in _UNITS[unit] if abs(value) >= each[0])
    value /= size or 1
    if decimals is None:
        decimals = 0 if abs(value) >= _THREE_DIGITS else None
    return (f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}") + name
